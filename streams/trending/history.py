"""A tag's uses by hour: of the last day from the view's memory, of the days before it from the archived hours."""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncEngine

from streams.db import autocommit
from streams.trending.view import OneTag
from streams.trending.view_sql import HISTORY

LONGEST = 14 * 24
"""Hours of history that are kept for certain."""


class Hour(NamedTuple):
    """Uses in the hour that begins at ``start``."""

    start: datetime
    uses: int


async def history(engine: AsyncEngine, generation: int, known: OneTag, hours: int) -> list[Hour]:
    """The last ``hours`` hours, the present one included, oldest first.

    Late events are in the hours of the last day at once, and in older ones when they have been archived.
    """
    present = max(known.hours)
    first, recent = present - hours + 1, min(known.hours)
    uses = dict(known.hours)
    if first < recent:
        span = {"generation": generation, "tag": known.tag, "first": first, "last": recent - 1}
        async with autocommit(engine) as connection:
            uses |= {row.hour: row.uses for row in await connection.execute(HISTORY, span)}
    return [Hour(datetime.fromtimestamp(hour * 3600, UTC), uses.get(hour, 0)) for hour in range(first, present + 1)]
