"""A rehearsal: tasks run beside the live ones, on tables and files of their own, and what they leave is compared."""
