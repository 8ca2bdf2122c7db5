"""Forgets users and posts: what Tailrace keeps of them is erased, or kept without saying of whom it is."""
