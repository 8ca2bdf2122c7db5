"""Empties the recycle bin of posts that have been in it for long enough."""

from datetime import timedelta

import msgspec

from streams.cleanup.purging import count_overdue, purge
from streams.media.errors import StorageFailed
from streams.task import Concurrency, Context, Done, Outcome, Retry, task


class PurgeDeletedPosts(msgspec.Struct, frozen=True):
    """``dry_run`` counts the posts that would be purged, and purges none."""

    dry_run: bool = False


@task(queue="maintenance", timeout=timedelta(hours=1), concurrency=Concurrency(key=lambda _: "purge_deleted_posts"))
async def purge_deleted_posts(args: PurgeDeletedPosts, ctx: Context) -> Outcome:
    """Rows, renditions and the posts' own pictures and videos: until then, a post can be restored with all of them.

    Files go before the rows that name them. A run that was killed is repeated and goes on.
    """
    before = ctx.now() - ctx.settings.cleanup.deleted_posts_keep
    if args.dry_run:
        return Done({"dry_run": True, "purged": await count_overdue(ctx, before)})
    try:
        return Done({"dry_run": False, **await purge(ctx, before)})
    except StorageFailed as passing:
        return Retry(str(passing))
