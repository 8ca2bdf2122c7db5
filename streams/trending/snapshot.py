"""What trended at a full hour, kept: the view's own answer at that instant, once for ever."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.trending import snapshot_sql as sql
from streams.trending.archive import KEEP_HOURS
from streams.trending.surprise import DAYS, Trend
from streams.trending.view import View

WINDOW = "1h"
HOUR = timedelta(hours=1)
LONGEST_AGO = KEEP_HOURS - timedelta(days=DAYS) - 3 * HOUR
"""Of older hours, the hours that they are compared with are not kept for certain any more."""


@dataclass(frozen=True)
class Snapshot:
    """The list of the full hour that ended at ``as_of``. ``counted_until``: None where nothing was ever counted."""

    as_of: datetime
    counted_until: datetime | None
    complete: bool
    generation: int
    trends: Sequence[Trend]


def full_hour(instant: datetime) -> datetime:
    """The last full hour that had ended at the instant."""
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


async def look(engine: AsyncEngine, as_of: datetime, half_life: timedelta, limit: int) -> Snapshot:
    """What a server would have answered at the end of the full hour ``as_of``, of all that is counted now."""
    view = View(engine, now=lambda: as_of - timedelta(microseconds=1), half_life=half_life)
    await view.refresh()
    answer = view.trending(WINDOW, limit)
    assert view.generation is not None
    known = view.counted_until
    is_whole = known is not None and known >= as_of
    return Snapshot(as_of, known, is_whole and answer.complete, view.generation, answer.trends)


async def exists(engine: AsyncEngine, as_of: datetime) -> bool:
    """Whether the hour has its snapshot."""
    async with engine.connect() as connection:
        return (await connection.execute(sql.EXISTS, {"as_of": as_of})).first() is not None


async def keep(connection: AsyncConnection, snapshot: Snapshot) -> bool:
    """Store it; False, with nothing changed, where the hour has one already."""
    head = {
        "as_of": snapshot.as_of,
        "complete": snapshot.complete,
        "generation": snapshot.generation,
        "counted_until": snapshot.counted_until,
        "tags": len(snapshot.trends),
    }
    if (await connection.execute(sql.ADD_HOUR, head)).rowcount == 0:
        return False
    rows = [
        {
            "as_of": snapshot.as_of,
            "rank": rank,
            "tag": trend.tag,
            "uses": trend.uses,
            "observed": trend.observed,
            "baseline": trend.baseline,
            "peak": trend.peak,
            "age_s": trend.age,
            "score": trend.score,
        }
        for rank, trend in enumerate(snapshot.trends, start=1)
    ]
    if rows:
        await connection.execute(sql.ADD_TAG, rows)
    return True


async def is_newest(connection: AsyncConnection, as_of: datetime) -> bool:
    """Whether no later hour has a snapshot."""
    return (await connection.execute(sql.LATER, {"as_of": as_of})).first() is None


async def trim(connection: AsyncConnection, keep_for: timedelta) -> int:
    """Delete the snapshots of hours that are older; how many hours."""
    return (await connection.execute(sql.TRIM, {"keep": keep_for})).rowcount
