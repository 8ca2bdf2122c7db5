"""Days that have been counted, as they are read again."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.tables_data import content_analytics, content_analytics_hours


@dataclass(frozen=True)
class StoredDay:
    """A row of ``tailrace.content_analytics``, and those of its hours in their order."""

    day: date
    computed_at: datetime
    metrics: dict[str, Any]
    hours: list[dict[str, int]]


async def find_day(engine: AsyncEngine, day: date | None) -> StoredDay | None:
    """This day, or the newest where that is None; None where it has not been counted."""
    table, by_hour = content_analytics, content_analytics_hours.c
    wanted = sa.select(table).order_by(table.c.day.desc()).limit(1)
    if day is not None:
        wanted = wanted.where(table.c.day == day)
    async with engine.connect() as connection:
        row = (await connection.execute(wanted)).first()
        if row is None:
            return None
        hours = sa.select(by_hour.metrics).where(by_hour.day == row.day).order_by(by_hour.hour)
        return StoredDay(row.day, row.computed_at, row.metrics, list((await connection.execute(hours)).scalars()))


def as_json_object(found: StoredDay) -> dict[str, Any]:
    """For programs: the metrics, with the day in front and the hours last."""
    return {"day": found.day, "computed_at": found.computed_at, **found.metrics, "hours": found.hours}
