"""Which runs are meant: their states, and what they have in common."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

OPEN = ("queued", "running", "parked")
"""States that a partial index holds, as few rows are in them however long the history is."""

STATES = (*OPEN, "done", "skipped", "dead", "cancelled")

RETRIED = ("dead", "cancelled")
"""States from which an operator can give a run its next attempt."""

DEFAULT_PAST = timedelta(hours=24)
"""How far back a list goes that no index on few rows bounds."""


@dataclass(frozen=True)
class Filter:
    """Which runs. ``since`` and ``until`` are about the cause's time; for dead runs, about their end."""

    task: str | None = None
    state: str | None = None
    queue: str | None = None
    schedule: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def bounded(self, now: datetime) -> "Filter":
        """The same, from ``DEFAULT_PAST`` before ``now`` on, where nothing else keeps it from reading every month."""
        if self.since is not None or self.schedule is not None or self.state in (*OPEN, "dead"):
            return self
        return replace(self, since=min(now, self.until or now) - DEFAULT_PAST)
