"""The rows of content analytics: at most one a day, whose comparisons fit the other days whatever their order."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.tables_data import content_analytics, content_analytics_hours
from streams.claims import Claim
from streams.data.day_counts import DayCounts
from streams.data.insights import WINDOW, changes, outliers
from streams.ledger import hold

# One at a time, until the COMMIT: each compares its day with those that the others write.
LOCK = text("SELECT pg_advisory_xact_lock(hashtext('tailrace.content_analytics'))")

# A day's row; nothing is written where it says so already.
KEEP_DAY = text("""
    INSERT INTO tailrace.content_analytics AS old (day, metrics, computed_at)
    VALUES (:day, CAST(:metrics AS jsonb), :now)
    ON CONFLICT (day) DO UPDATE SET metrics = excluded.metrics, computed_at = excluded.computed_at
     WHERE old.metrics <> excluded.metrics
""")

# The rows of its hours, in the order of the hours.
KEEP_HOURS = text("""
    INSERT INTO tailrace.content_analytics_hours AS old (day, hour, metrics)
    SELECT :day, position - 1, metrics
      FROM jsonb_array_elements(CAST(:hours AS jsonb)) WITH ORDINALITY AS hours (metrics, position)
    ON CONFLICT (day, hour) DO UPDATE SET metrics = excluded.metrics WHERE old.metrics <> excluded.metrics
""")

Days = dict[date, dict[str, Any]]
Hours = dict[tuple[date, int], dict[str, int]]


async def keep(connection: AsyncConnection, claim: Claim, found: DayCounts, now: datetime) -> Mapping[str, int]:
    """Write the day, and compare it and the four weeks after it anew: so days can be counted in any order. How many
    rows of days and hours were written, and the outliers of the day. Raises ``LostClaim``.
    """
    await hold(connection, claim)
    await connection.execute(LOCK)
    day = found.day.date
    days, hours = await _around(connection, day)
    days[day] = found.metrics
    hours |= {(day, hour): counts for hour, counts in enumerate(found.hours)}
    written = 0
    for each in sorted(known for known in days if day <= known <= day + timedelta(days=WINDOW)):
        days[each] = compared(each, days, hours)
        row = {"day": each, "metrics": msgspec.json.encode(days[each]).decode(), "now": now}
        written += (await connection.execute(KEEP_DAY, row)).rowcount
    encoded = {"day": day, "hours": msgspec.json.encode(found.hours).decode()}
    in_hours = (await connection.execute(KEEP_HOURS, encoded)).rowcount
    return {"days_written": written, "hours_written": in_hours, "outliers": len(days[day]["outliers"])}


def compared(day: date, days: Days, hours: Hours) -> dict[str, Any]:
    """The metrics of a day with its ``changes`` since the day before and its ``outliers``; single hours come last."""
    before = [day - timedelta(days=n) for n in range(1, WINDOW + 1)]
    today, yesterday = days[day], days.get(before[0])
    found = outliers(today, [days[each] for each in before if each in days])
    for hour in range(24):
        earlier = [hours[each, hour] for each in before if (each, hour) in hours]
        found += [{**outlier, "hour": hour} for outlier in outliers(hours.get((day, hour), {}), earlier)]
    return {**today, "changes": changes(today, yesterday), "outliers": found}


async def _around(connection: AsyncConnection, day: date) -> tuple[Days, Hours]:
    """What is known of four weeks before and after."""
    first, last = day - timedelta(days=WINDOW), day + timedelta(days=WINDOW)
    table, by_hour = content_analytics.c, content_analytics_hours.c
    daily = sa.select(table.day, table.metrics).where(table.day.between(first, last))
    hourly = sa.select(by_hour.day, by_hour.hour, by_hour.metrics).where(by_hour.day.between(first, last))
    days = {row.day: row.metrics for row in await connection.execute(daily)}
    return days, {(row.day, row.hour): row.metrics for row in await connection.execute(hourly)}
