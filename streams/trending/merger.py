"""Keeps the deltas few: those of ten minutes become one, so that a view starts from few rows."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.trending import sql
from streams.trending.delta import Delta, merge, unpack
from streams.trending.store import delta_row

AT_LEAST = 20
KEEP = timedelta(days=8)


async def merge_old_deltas(engine: AsyncEngine, generation: int, after: timedelta) -> int:
    """Merge what is older than ``after`` and drop what nothing can reach; how many ranges were merged.

    One transaction a range: a view sees the rows before or the row after. Does nothing while another merges.
    """
    async with engine.begin() as connection:
        if not (await connection.execute(sql.TRY_MERGE_LOCK)).scalar_one():
            return 0
        choice = {"generation": generation, "merge_after": after, "at_least": AT_LEAST}
        ranges = (await connection.execute(sql.MERGEABLE, choice)).all()
        for found in ranges:
            await _merge_range(connection, generation, found)
        oldest = int((datetime.now(UTC) - KEEP).timestamp()) // 60
        await connection.execute(sql.FORGET_OLD, {"generation": generation, "oldest_minute": oldest})
    return len(ranges)


async def _merge_range(connection: AsyncConnection, generation: int, found: Row[tuple[object, ...]]) -> None:
    bounds = {"source": found.source, "from_offset": found.from_offset, "to_offset": found.to_offset}
    rows = (await connection.execute(sql.TAKE_RANGE, {"generation": generation, **bounds})).all()
    rows = sorted(rows, key=lambda row: row.from_offset)
    oldest = min(row.created_at for row in rows)
    for run in _contiguous(rows):
        deltas = [Delta(found.source, row.from_offset, row.to_offset, unpack(row.body, row.format)) for row in run]
        await connection.execute(sql.PUT_MERGED, {**delta_row(generation, merge(deltas)), "created_at": oldest})


def _contiguous(rows: Sequence[Row[tuple[object, ...]]]) -> Iterator[list[Row[tuple[object, ...]]]]:
    """Runs of rows that meet: [a,b) [b,c), then [d,e)."""
    run: list[Row[tuple[object, ...]]] = []
    for row in rows:
        if run and run[-1].to_offset != row.from_offset:
            yield run
            run = []
        run.append(row)
    if run:
        yield run
