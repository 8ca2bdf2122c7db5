"""One day as the backend's rows tell it, all of one moment."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.backend_presence import Presence
from streams.data import day_sql as sql
from streams.data.day_sources import Day, missing, sources

HOURS = range(24)


class TooSlow(Exception):
    """A statement was not done in time; the message says what would help."""


@dataclass(frozen=True)
class DayCounts:
    """What happened on a day, as JSON can hold it: ``metrics`` of the day, and of each of its 24 hours."""

    day: Day
    metrics: dict[str, Any]
    hours: list[dict[str, int]]


async def count_day(engine: AsyncEngine, presence: Presence, day: Day) -> DayCounts:
    """All statements see the database at one moment, so that their numbers fit together. Raises ``TooSlow``."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        async with connection.begin():
            hours = await _hours(connection, presence, day)
            names = [source.name for source in sources(presence)]
            counts = {name: sum(hour[name] for hour in hours) for name in names}
            active = await _rows(connection, sql.active_users(presence, day))
            by_hour = {row.hour: row.rows for row in active}
            for hour in HOURS:
                hours[hour]["active_users"] = by_hour.get(hour, 0)
            counts["active_users"] = by_hour.get(None, 0)
            return DayCounts(day, {**counts, **await _details(connection, presence, day)}, hours)


async def _hours(connection: AsyncConnection, presence: Presence, day: Day) -> list[dict[str, int]]:
    hours = [{source.name: 0 for source in sources(presence)} for _ in HOURS]
    for row in await _rows(connection, sql.by_hour(presence, day)):
        hours[row.hour][row.name] = row.rows
    return hours


async def _details(connection: AsyncConnection, presence: Presence, day: Day) -> dict[str, Any]:
    visibility: Counter[str] = Counter()
    media: Counter[str] = Counter()
    for row in await _rows(connection, sql.posts_by_kind(presence, day)):
        visibility[row.visibility] += row.rows
        media[row.media] += row.rows
    (totals,) = await _rows(connection, sql.totals(presence, day))
    found: dict[str, Any] = {
        "posts_by_visibility": dict(visibility),
        "posts_by_media": dict(media),
        "totals": dict(totals._mapping),
    }
    for name, statement in (("top_posts", sql.top_posts(presence, day)), ("top_tags", sql.top_tags(presence, day))):
        if statement is not None:
            found[name] = [dict(row._mapping) for row in await _rows(connection, statement)]
    return {**found, "without": missing(presence)}


async def _rows(connection: AsyncConnection, statement: sql.Statement) -> Sequence["sa.Row[Any]"]:
    try:
        return (await connection.execute(statement)).all()
    except TimeoutError as error:
        raise TooSlow(
            "counting took more than a minute: give created_at of posts, comments, likes, shares and follows an index"
        ) from error
