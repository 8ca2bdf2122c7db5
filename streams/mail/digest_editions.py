"""The digests of one week: from when to when their posts are, and in what order they go out."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.commands import Command, command_id
from schemas.envelope import Identity, rfc3339
from streams.backend_presence import Presence
from streams.mail.digest_posts import find_best
from streams.mail.digest_times import due
from streams.submission import Submission

A_WEEK = timedelta(days=7)

# The week's edition; the first to begin it says what is in it.
OPEN = text("""
    INSERT INTO tailrace.digest_editions (week, since, until, best)
    VALUES (:week, :since, :until, CAST(:best AS jsonb))
    ON CONFLICT (week) DO NOTHING
""")

FIND = text("SELECT week, since, until, best FROM tailrace.digest_editions WHERE week = :week")

# How many are due at each instant so far; nobody else counts until our COMMIT.
SLOTS = text("SELECT slots FROM tailrace.digest_editions WHERE week = :week FOR UPDATE")

KEEP_SLOTS = text("UPDATE tailrace.digest_editions SET slots = CAST(:slots AS jsonb) WHERE week = :week")


@dataclass(frozen=True)
class Edition:
    """``best``: the ids of everybody's best posts between ``since`` and ``until``."""

    week: str
    since: datetime
    until: datetime
    best: list[str]

    @property
    def between(self) -> tuple[datetime, datetime]:
        return self.since, self.until


@dataclass(frozen=True)
class Reader:
    """Who gets one."""

    user_id: str
    zone: tzinfo | None


async def find_edition(connection: AsyncConnection, week: str) -> Edition | None:
    """None where nobody has begun that week's."""
    row = (await connection.execute(FIND, {"week": week})).first()
    return Edition(row.week, row.since, row.until, row.best) if row else None


async def draft(connection: AsyncConnection, presence: Presence, week: str, until: datetime) -> Edition:
    """The edition of the seven days until then, not kept."""
    since = until - A_WEEK
    return Edition(week, since, until, await find_best(connection, presence, since, until))


async def open_edition(connection: AsyncConnection, presence: Presence, week: str, until: datetime) -> Edition:
    """The week's edition, begun now if nobody has: each reader of the week is shown posts of the same days."""
    if found := await find_edition(connection, week):
        return found
    edition = await draft(connection, presence, week, until)
    best = msgspec.json.encode(edition.best).decode()
    row = {"week": week, "since": edition.since, "until": edition.until, "best": best}
    await connection.execute(OPEN, row)
    return await find_edition(connection, week) or edition


class Spread:
    """Says when each digest of a week goes out: at nine, and of those that are due together so many a second, so
    that no other mail has to wait behind all of them.
    """

    def __init__(self, week: str, per_second: int, slots: dict[str, int]) -> None:
        self._week, self._gap = week, timedelta(seconds=1 / per_second)
        self._slots = Counter(slots)

    def orders(self, readers: Iterable[Reader], task: str, queue: str) -> list[Submission]:
        """A command for each, the same one however often it is ordered."""
        return [self._order(reader, task, queue) for reader in readers]

    def _order(self, reader: Reader, task: str, queue: str) -> Submission:
        nine = due(self._week, reader.zone)
        slot = rfc3339(nine)
        at = nine + self._slots[slot] * self._gap
        self._slots[slot] += 1
        cause = Identity("tailrace:digest", "week", f"{self._week}:{reader.user_id}")
        command = Command(
            id=command_id(cause, task),
            task=task,
            args={"user_id": reader.user_id, "week": self._week},
            caused_at=due(self._week, UTC),
            cause=cause,
        )
        return Submission(command, queue, reader.user_id.encode(), due_at=at)

    @property
    def slots(self) -> dict[str, int]:
        return dict(self._slots)


async def load_spread(connection: AsyncConnection, week: str, per_second: int) -> Spread:
    """As far as the week's digests have been ordered."""
    slots: dict[str, int] = (await connection.execute(SLOTS, {"week": week})).scalar_one()
    return Spread(week, per_second, slots)


async def keep_spread(connection: AsyncConnection, week: str, spread: Spread) -> None:
    """In the transaction that orders them."""
    slots = msgspec.json.encode(spread.slots).decode()
    await connection.execute(KEEP_SLOTS, {"week": week, "slots": slots})
