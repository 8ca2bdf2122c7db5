"""Moves posts that nobody will miss to the recycle bin."""

import math
from datetime import timedelta
from typing import Annotated

import msgspec

from streams.cleanup import old_posts
from streams.cleanup.deleting import Deleting
from streams.cleanup.dependants import read_dependants
from streams.data.needs import look
from streams.task import Concurrency, Context, Dead, Done, Outcome, Skip, task


class CleanupOldPosts(msgspec.Struct, frozen=True):
    """``dry_run`` tells which posts would go. ``max_share`` replaces the setting for this run."""

    dry_run: bool = False
    max_share: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None


@task(queue="maintenance", timeout=timedelta(hours=2), concurrency=Concurrency(key=lambda _: "cleanup_old_posts"))
async def cleanup_old_posts(args: CleanupOldPosts, ctx: Context) -> Outcome:
    """Older than a year, not pinned, seen by fewer than ten, and without a like, a comment or a share, of which each is
    looked for among the real rows while the post is locked. What refers to a post goes along or keeps it.

    Each batch puts posts into the bin and deletes them in one transaction. A run that was killed is repeated and
    goes on. Until it is switched on by its setting, it only tells which posts would go.
    """
    settings, backend = ctx.settings.cleanup, ctx.backend
    if lacking := old_posts.lacking(await look(ctx)):
        return Skip(lacking)
    dry_run, share = args.dry_run or not settings.old_posts_enabled, args.max_share or settings.old_posts_max_share
    async with ctx.engine.connect() as connection:
        post_type = await old_posts.type_of_posts(connection, backend)
        if post_type is None:
            return Skip(f"{backend.content_types.fullname} has no row of posts.post, so likes cannot be looked for")
        rule = old_posts.Rule(backend, post_type, ctx.now() - settings.old_posts_age, settings.old_posts_max_views)
        matching, total = await rule.count(connection)
        dependants = await read_dependants(connection, backend, post_type, settings.tables_taken_along)
    if matching > share * total and not dry_run:
        enough = math.ceil(100 * matching / total) / 100
        return Dead(
            f"{matching:,} of {total:,} posts match, more than a share of {share:g}: nothing was deleted. If that is "
            f"right, allow it once: tailrace run cleanup_old_posts --args '{{\"max_share\": {enough:g}}}'"
        )
    tally = await Deleting(ctx.engine, ctx.claim, rule, dependants, dry_run).run(matching)
    return Done({"dry_run": dry_run, "matching": matching, "of": total, **tally.facts()})
