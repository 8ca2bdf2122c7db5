"""Put work on a queue by hand: the ledger's row and the outbox's in one transaction, once for each key."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.commands import Command, command_id
from schemas.envelope import Identity
from streams import runs_sql as sql
from streams.db import autocommit
from streams.ledger_sql import MAKE_ROOM, MONTHS
from streams.run_ids import RunId
from streams.submission import Submission, submit
from streams.task import Task

SOURCE = "/cli"
TYPE = "enqueue"

# One at a time for each key, until COMMIT.
LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('tailrace.enqueue:' || :id, 0)), clock_timestamp() AS now")


@dataclass(frozen=True)
class Wish:
    """A run that somebody asks for. With ``key``, the same wish is granted once for as long as the ledger keeps it."""

    task: Task
    args: Mapping[str, Any]
    queue: str
    due_at: datetime | None = None
    key: str | None = None


@dataclass(frozen=True)
class Granted:
    """The wish's run. ``state`` is None where it is new, and ``same_args`` tells whether it was asked for so."""

    run: RunId
    state: str | None = None
    same_args: bool = True


async def enqueue(engine: AsyncEngine, wish: Wish) -> Granted:
    """The run waits on its queue, or has been there before."""
    identity = Identity(SOURCE, TYPE, wish.key or str(uuid.uuid4()))
    run_id = command_id(identity, wish.task.name)
    async with autocommit(engine) as connection:
        await connection.execute(MAKE_ROOM)
    async with engine.begin() as connection:
        now: datetime = (await connection.execute(LOCK, {"id": str(run_id)})).one().now.astimezone(UTC)
        if wish.key is not None:
            now = start_of_hour(now)
            if found := await _before(connection, run_id, now, wish):
                return found
        command = Command(id=run_id, task=wish.task.name, args=dict(wish.args), caused_at=now, cause=identity)
        await submit(connection, Submission(command, wish.queue, due_at=wish.due_at))
    return Granted(RunId(run_id, now))


async def _before(connection: AsyncConnection, run_id: uuid.UUID, now: datetime, wish: Wish) -> Granted | None:
    """The run that this key has had. Such a run's cause lies at the start of an hour, so that each hour that the
    ledger holds is looked up by its key: some thousand lookups instead of a search.
    """
    months = (await connection.execute(MONTHS)).one()
    hours = hours_between(months.first.astimezone(UTC), now)
    row = (await connection.execute(sql.ANY_OF, {"id": run_id, "caused_at": hours})).first()
    if row is None:
        return None
    return Granted(RunId(run_id, row.caused_at), row.state, row.args == wish.args)


def start_of_hour(instant: datetime) -> datetime:
    """The last full hour of UTC."""
    return instant.replace(minute=0, second=0, microsecond=0)


def hours_between(first: datetime, last: datetime) -> list[datetime]:
    """Every full hour from ``first`` to ``last``, both included."""
    return [first + timedelta(hours=number) for number in range((last - first) // timedelta(hours=1) + 1)]
