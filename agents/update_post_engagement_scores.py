"""Keeps a score of each post's engagement in ``tailrace.post_engagement``, and in the backend's own column for it."""

from collections.abc import Mapping
from datetime import timedelta

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import Instant
from streams.data.engagement import score_range
from streams.data.key_range import KeyRange
from streams.data.needs import look, problem
from streams.data.optional_column import column_as_it_is
from streams.data.progress import Progress, forget
from streams.data.ranges import in_ranges
from streams.task import Concurrency, Context, Dead, Done, Outcome, task


class EngagementScores(msgspec.Struct, frozen=True):
    """``as_of``: the instant by which ages go, else that of the run; the posts' counters are always those of now."""

    as_of: Instant | None = None
    dry_run: bool = False


@task(
    queue="analytics",
    timeout=timedelta(hours=2),
    concurrency=Concurrency(key=lambda _: "update_post_engagement_scores"),
)
async def update_post_engagement_scores(args: EngagementScores, ctx: Context) -> Outcome:
    """Only scores that have changed are written; ages are those of one instant, also if the run is taken over."""
    presence, posts = await look(ctx), ctx.backend.posts
    counters = (posts.c.likes_count, posts.c.comments_count, posts.c.shares_count, posts.c.views_count)
    if said := problem(presence, posts.c.id, posts.c.created_at, *counters):
        return Dead(said)
    column = await column_as_it_is(ctx.engine, presence, "posts.engagement_score")

    async def score(connection: AsyncConnection, keys: KeyRange, progress: Progress) -> Mapping[str, int]:
        as_of = args.as_of or progress.began_at
        found = await connection.execute(score_range(posts, column, as_of, keys, dry_run=args.dry_run))
        return dict(found.mappings().one())

    progress = await in_ranges(ctx, posts.c.id, score)
    return Done(progress.counts, effect=forget(ctx))
