"""How long a mail is tried."""

from datetime import timedelta

from streams.task import RetryPolicy

THROUGH_AN_OUTAGE = RetryPolicy(max_attempts=8, first=timedelta(seconds=30), factor=2.5)
"""Half a minute, then longer and longer, for three hours and a half: mail servers are mended within hours."""
