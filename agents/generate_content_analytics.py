"""What happened on a day, by UTC: one row in ``tailrace.content_analytics`` and one for each hour."""

from collections.abc import Mapping
from datetime import date, timedelta

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.data.analytics import keep
from streams.data.day_counts import count_day
from streams.data.day_sources import Day, what_prevents_it
from streams.data.insights import COUNTED
from streams.data.needs import look
from streams.task import Context, Dead, Done, Outcome, Skip, task


class ContentAnalytics(msgspec.Struct, frozen=True):
    """``day``, else the one before the run's instant: the run of 04:00 is about yesterday."""

    day: date | None = None
    dry_run: bool = False


@task(queue="analytics", timeout=timedelta(minutes=30))
async def generate_content_analytics(args: ContentAnalytics, ctx: Context) -> Outcome:
    """At most one row a day, however often and in whatever order days are counted; a later count replaces it."""
    day = Day(args.day or ctx.command.caused_at.date() - timedelta(days=1))
    if day.end > ctx.now():
        return Skip(f"{day.date} is not over yet by UTC: count it from {day.end:%Y-%m-%dT%H:%MZ} on")
    presence = await look(ctx)
    if said := what_prevents_it(presence):
        return Dead(said)
    found = await count_day(ctx.engine, presence, day)
    counts = {name: found.metrics[name] for name in COUNTED if name in found.metrics}
    without = {"without": found.metrics["without"]} if found.metrics["without"] else {}
    result = {"day": day.date, **counts, **without}
    if args.dry_run:
        return Done(result)

    async def rows(connection: AsyncConnection) -> Mapping[str, int]:
        return await keep(connection, ctx.claim, found, ctx.now())

    return Done(result, effect=rows)
