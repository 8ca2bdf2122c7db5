"""Keeps the stored counts small: older deltas are added to hours, then those of ten minutes become one.

Each delta is in the hours once, by compare-and-set on its source's ``archived_offset``; late events reach old
hours in the same way. A delta that is not archived is never merged, so the archive always ends between two.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.trending import view_sql as sql
from streams.trending.delta import Delta, merge, unpack
from streams.trending.store import delta_row

AT_MOST = 5000
AT_LEAST = 20
KEEP_MINUTES = timedelta(hours=12)
KEEP_HOURS = timedelta(days=16)
"""The last 7 days, and the 8 before them that a late event can reach."""

Found = Row[tuple[object, ...]]


async def archive(engine: AsyncEngine, generation: int, after: timedelta, block: int) -> int:
    """Archive what is older than ``after``, merge, and drop what nothing reaches; how many deltas were archived.

    Does nothing while another worker does it.
    """
    async with engine.begin() as connection:
        if not (await connection.execute(sql.TRY_LOCK)).scalar_one():
            return 0
        archived = await _add_to_hours(connection, generation, after)
        for found in (await connection.execute(sql.MERGEABLE, {"generation": generation, "at_least": AT_LEAST})).all():
            await _merge_range(connection, generation, found)
        await _forget(connection, generation, block)
    return archived


async def _add_to_hours(connection: AsyncConnection, generation: int, after: timedelta) -> int:
    choice = {"generation": generation, "after": after, "at_most": AT_MOST}
    rows = (await connection.execute(sql.ARCHIVABLE, choice)).all()
    for source, found in groupby(rows, key=lambda row: row.source):
        deltas = [Delta(source, row.from_offset, row.to_offset, unpack(row.body, row.format)) for row in found]
        total = merge(deltas)
        bounds = {"source": source, "from_offset": total.start, "to_offset": total.end}
        moved = await connection.execute(sql.ADVANCE_ARCHIVE, {"generation": generation, **bounds})
        if moved.rowcount == 1:
            await connection.execute(sql.ADD_HOURS, {"generation": generation, **_hours(total)})
    return len(rows)


def _hours(delta: Delta) -> dict[str, list[object]]:
    """The delta's uses by hour and tag, as columns."""
    uses: dict[tuple[int, str], int] = {}
    for minute, tags in delta.body.panes.items():
        for tag, count in tags.items():
            uses[minute // 60, tag] = uses.get((minute // 60, tag), 0) + count
    return {
        "hours": [hour for hour, _ in uses],
        "tags": [tag for _, tag in uses],
        "uses": list(uses.values()),
    }


async def _merge_range(connection: AsyncConnection, generation: int, found: Found) -> None:
    bounds = {"source": found.source, "from_offset": found.from_offset, "to_offset": found.to_offset}
    rows = (await connection.execute(sql.TAKE_RANGE, {"generation": generation, **bounds})).all()
    rows = sorted(rows, key=lambda row: row.from_offset)
    oldest = min(row.created_at for row in rows)
    for run in _contiguous(rows):
        deltas = [Delta(found.source, row.from_offset, row.to_offset, unpack(row.body, row.format)) for row in run]
        await connection.execute(sql.PUT_MERGED, {**delta_row(generation, merge(deltas)), "created_at": oldest})


def _contiguous(rows: Iterable[Found]) -> Iterator[Sequence[Found]]:
    """Runs of rows that meet: [a,b) [b,c), then [d,e)."""
    run: list[Found] = []
    for row in rows:
        if run and run[-1].to_offset != row.from_offset:
            yield run
            run = []
        run.append(row)
    if run:
        yield run


async def _forget(connection: AsyncConnection, generation: int, block: int) -> None:
    now = datetime.now(UTC)
    minute = int((now - KEEP_MINUTES).timestamp()) // 60
    hour = int((now - KEEP_HOURS).timestamp()) // 3600
    choice = {"generation": generation, "oldest_minute": minute, "block": block}
    await connection.execute(sql.FORGET_DELTAS, choice)
    await connection.execute(sql.FORGET_HOURS, {"generation": generation, "oldest_hour": hour})
