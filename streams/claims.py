"""Who may run a command: what the ledger is asked, and its answers."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.commands import Command

MAX_TAKEOVERS = 5
"""A run that has outlived this many workers is dead: it probably kills them."""


@dataclass(frozen=True)
class Claim:
    """This worker's right to run one attempt, until its lease runs out. ``first_attempt``: since which the task's
    attempts count.
    """

    id: uuid.UUID
    caused_at: datetime
    attempt: int
    worker: str
    takeovers: int = 0
    first_attempt: int = 1

    @property
    def key(self) -> dict[str, Any]:
        """What the row must still say: a worker whose lease lapsed may have taken the run over from itself."""
        return {
            "id": self.id,
            "caused_at": self.caused_at,
            "attempt": self.attempt,
            "worker": self.worker,
            "takeovers": self.takeovers,
        }


@dataclass(frozen=True)
class Finished:
    """It is done, or a later attempt has taken its place: this delivery is a duplicate."""


@dataclass(frozen=True)
class LiveUntil:
    """Another delivery of it runs, and its lease holds until then."""

    until: datetime


@dataclass(frozen=True)
class Busy:
    """As many as may run at once for its concurrency key do; ask again a moment later."""


Answer = Claim | Finished | LiveUntil | Busy


class LostClaim(Exception):
    """The run is no longer ours: it was taken over, or it has been recorded already."""


@dataclass(frozen=True)
class Order:
    """A command as it came off its queue."""

    command: Command
    queue: str
    enqueued_at: datetime
    key: bytes | None = None
    concurrency_key: str | None = None
    concurrency_limit: int = 1


@dataclass(frozen=True)
class Ending:
    """How a run left ``running``. ``next_attempt`` and ``scheduled_for`` only where it is parked."""

    state: str
    outcome: Mapping[str, Any] | None = None
    error: str | None = None
    next_attempt: int | None = None
    scheduled_for: datetime | None = None


@dataclass(frozen=True)
class Months:
    """A run can be recorded if its cause lies in [first, last)."""

    first: datetime
    last: datetime
