"""Runs that nobody will start: of a lost worker, or without their outbox row."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.commands import Command, command_id
from schemas.envelope import Identity
from streams.claims import Claim, Order
from streams.ledger import Ledger
from streams.submission import Submission, submit

LONG = timedelta(minutes=1)
OVER = timedelta(seconds=-1)


def command(number: int = 7, *, attempt: int = 1) -> Command:
    cause = Identity("/test", "user.created", str(number))
    when = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    run_id, args = command_id(cause, "greet_user"), {"user_id": number}
    return Command(id=run_id, task="greet_user", args=args, caused_at=when, cause=cause, attempt=attempt)


async def claimed(engine: AsyncEngine, lease: timedelta, wanted: Command | None = None) -> Claim:
    wanted = wanted or command()
    order = Order(wanted, "emails", datetime.now(UTC), b"the key")
    (claim,) = await Ledger(engine, "lost", lease).claim([order])
    assert isinstance(claim, Claim)
    return claim


async def change(engine: AsyncEngine, statement: str, **parameters: Any) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(statement), parameters)


async def submitted(engine: AsyncEngine, number: int = 7, *, minutes_ago: float = 0) -> Command:
    """A run that waits, and whose outbox row is gone."""
    wanted = command(number)
    async with engine.begin() as connection:
        await submit(connection, Submission(wanted, "emails", b"the key"))
    await change(engine, "DELETE FROM tailrace.outbox")
    await let_time_pass(engine, minutes_ago)
    return wanted


async def let_time_pass(engine: AsyncEngine, minutes: float) -> None:
    """As if everything in the ledger had been written so much earlier."""
    ago = timedelta(minutes=minutes)
    await change(
        engine,
        """UPDATE tailrace.task_runs SET scheduled_for = scheduled_for - CAST(:ago AS interval),
                  enqueued_at = enqueued_at - CAST(:ago AS interval), swept_at = swept_at - CAST(:ago AS interval)""",
        ago=ago,
    )
    await change(engine, "UPDATE tailrace.queues SET changed_at = changed_at - CAST(:ago AS interval)", ago=ago)


async def copies(engine: AsyncEngine) -> list[Any]:
    async with engine.connect() as connection:
        return list((await connection.execute(text("SELECT * FROM tailrace.outbox ORDER BY id"))).all())


async def publish_copies(engine: AsyncEngine) -> None:
    """As the relay does; here they then wait on their queue."""
    await change(engine, "DELETE FROM tailrace.outbox")
