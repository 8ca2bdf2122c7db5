"""Work through all rows of a table of the backend in key ranges, each a transaction of its own.

A range is done at most once in effect: what it writes, the run's progress and the proof that the run is still this
worker's commit together. A run that was killed, stopped or taken over goes on behind the last range that committed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.cancellation import is_cancelled
from streams.data.key_range import Key, KeyRange, key_of
from streams.data.pace import Pace
from streams.data.progress import Progress, advance, resume
from streams.ledger import hold
from streams.task import Context

Work = Callable[[AsyncConnection, KeyRange, Progress], Awaitable[Mapping[str, int]]]
"""Does one range in the transaction of the connection; what it counts is added up. It begins by reading: the rows that
it locks are locked from then until the COMMIT.
"""

STATEMENT_STOPPED = "57014"

# For this transaction: a statement that takes longer is stopped; and the parts of a statement, whose sizes the planner
# cannot know, are joined in a way that is linear for all sizes.
SETTINGS = text("""
    SELECT set_config('statement_timeout', :milliseconds, true), set_config('enable_nestloop', 'off', true),
           set_config('jit', 'off', true)
""")


async def in_ranges(ctx: Context, key: "sa.Column[Key]", work: Work) -> Progress:
    """Do ``work`` for all keys of the column, in their order: what was counted, and that it is finished.

    Raises ``LostClaim`` where the run has been taken over, with nothing of the range written.
    """
    progress, pace, clock = await resume(ctx), Pace(), asyncio.get_running_loop().time
    while not progress.finished:
        began = clock()
        try:
            progress = await _one_range(ctx, key, work, progress, pace)
        except DBAPIError as error:
            if is_cancelled() or not _was_stopped(error) or not pace.limit:
                raise
            pace.slow_down()
        else:
            pace.learn(timedelta(seconds=clock() - began))
    return progress


async def _one_range(ctx: Context, key: "sa.Column[Key]", work: Work, progress: Progress, pace: Pace) -> Progress:
    after = None if progress.position is None else key_of(progress.position, key)
    async with ctx.engine.begin() as connection:
        await connection.execute(SETTINGS, {"milliseconds": str(int(pace.limit.total_seconds() * 1000))})
        upto = await _last_of(connection, key, after, pace.size)
        counts = await work(connection, KeyRange(after, upto), progress)
        further = progress.further(None if upto is None else str(upto), counts)
        await advance(connection, ctx, further)
        # Last, and so for a moment only: while the row is locked, nobody can renew its lease.
        await hold(connection, ctx.claim)
    return further


async def _last_of(connection: AsyncConnection, key: "sa.Column[Key]", after: Key | None, size: int) -> Key | None:
    """The last key of a range of so many rows; None where there are fewer: it has no end then."""
    statement = sa.select(key).where(KeyRange(after).covers(key)).order_by(key).offset(size - 1).limit(1)
    return (await connection.execute(statement)).scalar_one_or_none()


def _was_stopped(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == STATEMENT_STOPPED
