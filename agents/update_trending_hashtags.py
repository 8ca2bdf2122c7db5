"""Keeps what trended at each full hour, and marks the backend's hashtags where it has columns for that."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import Instant
from streams.task import Context, Dead, Done, Outcome, Retry, RetryPolicy, Skip, task
from streams.trending import snapshot
from streams.trending.flags import Flags, flags_of
from streams.trending.snapshot import Snapshot

UNTIL_COUNTED = RetryPolicy(max_attempts=12, first=timedelta(seconds=5), factor=1.5)
"""Eleven waits, a quarter of an hour together. The last attempt keeps what is known, and says that it is incomplete."""


class TrendingHashtags(msgspec.Struct, frozen=True):
    """``hour``: a full hour of UTC that has ended, else the last one before the run's nominal instant."""

    hour: Instant | None = None
    dry_run: bool = False


@task(queue="analytics", retry=UNTIL_COUNTED)
async def update_trending_hashtags(args: TrendingHashtags, ctx: Context) -> Outcome:
    """An hour has one snapshot for ever, equal to the live answer at its end. The newest one marks the hashtags."""
    as_of = args.hour.astimezone(UTC) if args.hour else snapshot.full_hour(ctx.command.caused_at)
    if said := _problem(as_of, ctx.now()):
        return Dead(said)
    if not args.dry_run and await snapshot.exists(ctx.engine, as_of):
        return Skip(f"the snapshot of {as_of.isoformat()} is there already")
    trending = ctx.settings.trending
    found = await snapshot.look(ctx.engine, as_of, trending.half_life, trending.snapshot_tags)
    if found.counted_until is None:
        return Skip("nothing has been counted yet")
    if found.counted_until < as_of and ctx.claim.attempt < UNTIL_COUNTED.max_attempts:
        return Retry(f"counted up to {found.counted_until.isoformat()}, which is before {as_of.isoformat()}")
    shown = {"as_of": as_of, "complete": found.complete, "tags": len(found.trends)}
    if args.dry_run:
        return Done({**shown, "top": [{"tag": t.tag, "uses": t.uses, "score": t.score} for t in found.trends]})
    flags = await flags_of(ctx.engine, ctx.backend)

    async def rows(connection: AsyncConnection) -> Mapping[str, Any]:
        return await _keep(connection, found, flags, trending.snapshot_keep)

    return Done(shown, effect=rows)


async def _keep(connection: AsyncConnection, found: Snapshot, flags: Flags, keep_for: timedelta) -> Mapping[str, Any]:
    if not await snapshot.keep(connection, found):
        return {"kept": False}
    trimmed = await snapshot.trim(connection, keep_for)
    if not await snapshot.is_newest(connection, found.as_of):
        return {"kept": True, "trimmed": trimmed}
    scores = {trend.tag: trend.score for trend in found.trends}
    return {"kept": True, "trimmed": trimmed, **await flags.fill(connection, scores)}


def _problem(as_of: datetime, now: datetime) -> str | None:
    if as_of != snapshot.full_hour(as_of):
        return f"hour {as_of.isoformat()} is no full hour of UTC; write e.g. {snapshot.full_hour(as_of).isoformat()}"
    if as_of > now:
        return f"hour {as_of.isoformat()} has not ended yet"
    if now - as_of > snapshot.LONGEST_AGO:
        days = snapshot.LONGEST_AGO.days
        return f"hour {as_of.isoformat()} is too long ago: what it is compared with is kept for {days} days only"
    return None
