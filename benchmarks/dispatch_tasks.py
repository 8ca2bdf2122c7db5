"""The tasks that Tailrace runs in ``benchmarks.dispatch``."""

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.dispatch_notes import note_wait
from streams.task import Context, Done, Outcome, task

QUEUE = "default"

ROWS = "CREATE TABLE IF NOT EXISTS benchmark_rows (command bigint NOT NULL)"
"""Where both sides leave the row of ``write_row``."""

# The effect: one row, committed with the ledger's.
INSERT_ROW = text("INSERT INTO benchmark_rows (command) VALUES (:command)")


class Numbered(msgspec.Struct):
    """Which of the backlog it is, and when it was published (seconds since the epoch)."""

    number: int
    published: float


@task(queue=QUEUE)
async def do_nothing(args: Numbered, ctx: Context) -> Outcome:
    """No effect: what remains is the cost of the machinery."""
    return Done()


@task(queue=QUEUE)
async def write_row(args: Numbered, ctx: Context) -> Outcome:
    """One row, in the transaction that records the run."""

    async def write(connection: AsyncConnection) -> None:
        await connection.execute(INSERT_ROW, {"command": args.number})

    return Done(effect=write)


@task(queue=QUEUE)
async def measure_wait(args: Numbered, ctx: Context) -> Outcome:
    """Notes how long the command took from its publisher to here."""
    note_wait(args.published)
    return Done()


TASKS = (do_nothing, write_row, measure_wait)
