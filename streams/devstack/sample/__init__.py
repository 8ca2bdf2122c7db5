"""A small social-media backend to try Tailrace on: its tables, a history, and people who sign up and post."""
