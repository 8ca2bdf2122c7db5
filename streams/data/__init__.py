"""What the tasks that work on all users or posts share: key ranges, corrections, and the statements of each."""
