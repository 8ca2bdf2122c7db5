"""How far a run has come that works in key ranges, so that whoever takes it over goes on from there."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.db import autocommit
from streams.task import Context, Effect

KEPT = timedelta(hours=6)
"""What was done longer ago is done again: it may not be true any more."""

# Rows of runs that were given up.
FORGET_OLD = text("DELETE FROM tailrace.task_progress WHERE updated_at < clock_timestamp() - CAST(:kept AS interval)")

# How far this run has come.
READ = text("SELECT position, finished, counts, began_at FROM tailrace.task_progress WHERE run_id = :run_id")

# One range further, in the transaction that has done it.
ADVANCE = text("""
    INSERT INTO tailrace.task_progress AS progress (run_id, task, position, finished, counts, began_at, updated_at)
    VALUES (:run_id, :task, :position, :finished, CAST(:counts AS jsonb), :began_at, clock_timestamp())
    ON CONFLICT (run_id) DO UPDATE
       SET position = excluded.position, finished = excluded.finished, counts = excluded.counts,
           updated_at = excluded.updated_at
""")

# The run is done: its counts stand in the ledger.
FORGET = text("DELETE FROM tailrace.task_progress WHERE run_id = :run_id")


@dataclass(frozen=True)
class Progress:
    """``position`` is the text of the last key that is done; ``began_at`` that of the first attempt, for what must be
    the same in all ranges.
    """

    began_at: datetime
    position: str | None = None
    finished: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)

    def further(self, position: str | None, counts: Mapping[str, int]) -> "Progress":
        """After one more range; without a position it was the last."""
        added = Counter(self.counts)
        added.update(counts)
        return replace(self, position=position or self.position, finished=position is None, counts=dict(added))


async def resume(ctx: Context) -> Progress:
    """Where the run stands: at the beginning, or where an earlier attempt or a lost worker has left it."""
    async with autocommit(ctx.engine) as connection:
        await connection.execute(FORGET_OLD, {"kept": KEPT})
        row = (await connection.execute(READ, {"run_id": ctx.command.id})).first()
    return Progress(row.began_at, row.position, row.finished, row.counts) if row else Progress(ctx.now())


async def advance(connection: AsyncConnection, ctx: Context, progress: Progress) -> None:
    """Remember it, in the caller's transaction."""
    await connection.execute(
        ADVANCE,
        {
            "run_id": ctx.command.id,
            "task": ctx.command.task,
            "position": progress.position,
            "finished": progress.finished,
            "counts": msgspec.json.encode(progress.counts).decode(),
            "began_at": progress.began_at,
        },
    )


def forget(ctx: Context) -> Effect:
    """The effect of a run that has come to its end."""

    async def rows(connection: AsyncConnection) -> Mapping[str, Any] | None:
        await connection.execute(FORGET, {"run_id": ctx.command.id})
        return None

    return rows
