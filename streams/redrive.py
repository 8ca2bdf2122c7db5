"""Send dead letters again, each at most once: what is sent and the letter's mark are one transaction.

A command goes back through its ledger row, from dead to queued as the next attempt, so that it still runs at most
once for each attempt. What the ledger has no row for goes back to its topic as it came.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.commands import Command
from streams.dead_letter import Letter
from streams.dead_letter_marks import Mark, mark_letters
from streams.outbox import OutboxRow, put
from streams.submission import requeue

# The run that a letter is of; held, so that nobody else requeues it meanwhile.
RUN = text("""
    SELECT state, attempt FROM tailrace.task_runs WHERE caused_at = :caused_at AND id = :id FOR UPDATE
""")

What = Literal["redriven", "superseded", "marked"]


@dataclass(frozen=True)
class Answer:
    """What became of a letter: ``redriven``; ``superseded``, its run had gone on without it; or ``marked``, somebody
    was there before.
    """

    what: What
    text: str


class Pace:
    """At most so many a second, evenly."""

    def __init__(
        self, per_second: int, monotonic: Callable[[], float], sleep: Callable[[float], Awaitable[object]]
    ) -> None:
        self._interval = 1 / per_second
        self._monotonic = monotonic
        self._sleep = sleep
        self._next = monotonic()

    async def wait(self) -> None:
        """Returns when the next one may go."""
        early = self._next - self._monotonic()
        if early > 0:
            await self._sleep(early)
        self._next = max(self._next, self._monotonic()) + self._interval


async def redrive(
    engine: AsyncEngine, letters: AsyncIterator[Letter], *, dry_run: bool, pace: Pace | None
) -> AsyncIterator[tuple[Letter, Answer]]:
    """Send these letters again, in order; what became of each. A dry run changes nothing."""
    async for letter in letters:
        if pace and not dry_run:
            await pace.wait()
        yield letter, await redrive_one(engine, letter, dry_run=dry_run)


async def redrive_one(engine: AsyncEngine, letter: Letter, *, dry_run: bool = False) -> Answer:
    """Send one letter again, unless it is marked or its run has gone on. A dry run tells what would become of it."""
    async with engine.connect() as connection, connection.begin() as transaction:
        answer = await _redrive(connection, letter)
        if dry_run:
            await transaction.rollback()
    return answer


async def _redrive(connection: AsyncConnection, letter: Letter) -> Answer:
    command = letter.command
    run = await _run_of(connection, command) if command else None
    if command is None or run is None:
        return await _send_as_it_came(connection, letter)
    if run.state != "dead" or run.attempt != command.attempt:
        return await _mark(connection, letter, "superseded", f"its run is {run.state} at attempt {run.attempt}")
    answer = await _mark(connection, letter, "redriven", f"attempt {run.attempt + 1} of {command.task}")
    if answer.what == "redriven" and await requeue(connection, command.id, command.caused_at) is None:
        raise RuntimeError(f"run {command.id} changed while its row was locked")
    return answer


async def _run_of(connection: AsyncConnection, command: Command) -> Any | None:
    """The ledger's row, if the command has one."""
    try:
        caused_at = command.caused_at.astimezone(UTC)
    except OverflowError:  # within a day of the calendar's ends, where the ledger has no month
        return None
    return (await connection.execute(RUN, {"caused_at": caused_at, "id": command.id})).first()


async def _send_as_it_came(connection: AsyncConnection, letter: Letter) -> Answer:
    """Bytes, key, headers and time are those of the record that died."""
    answer = await _mark(connection, letter, "redriven", f"as it came, to {letter.origin_topic}")
    if answer.what == "redriven":
        row = OutboxRow(
            topic=letter.origin_topic,
            key=letter.record.key,
            payload=letter.record.value,
            headers=letter.original_headers,
            occurred_at=letter.record.published_at,
        )
        await put(connection, row)
    return answer


async def _mark(connection: AsyncConnection, letter: Letter, mark: Mark, why: str) -> Answer:
    place = letter.place
    if not await mark_letters(connection, (place.topic, place.partition), [place.offset], mark):
        return Answer("marked", "dealt with before")
    return Answer("superseded" if mark == "superseded" else "redriven", why)
