"""Deletes files of renditions that others have taken the place of."""

from collections import Counter
from datetime import timedelta

import msgspec

from streams.cleanup.batches import still_ours
from streams.media import leftovers
from streams.media.errors import StorageFailed
from streams.task import Concurrency, Context, Done, Outcome, Retry, task


class CleanupOldRenditions(msgspec.Struct, frozen=True):
    """``everywhere``: look through the whole storage first for files that no row names. ``dry_run`` counts what would
    be deleted, and deletes nothing.
    """

    everywhere: bool = False
    dry_run: bool = False


@task(queue="maintenance", timeout=timedelta(hours=6), concurrency=Concurrency(key=lambda _: "cleanup_old_renditions"))
async def cleanup_old_renditions(args: CleanupOldRenditions, ctx: Context) -> Outcome:
    """None that has a row, and none that a page may still show. A run that was killed is repeated and goes on."""
    keep, counts = ctx.settings.cleanup.old_renditions_keep, Counter({"deleted": 0})
    if args.dry_run:
        return Done({"dry_run": True, "deleted": await leftovers.count_overdue(ctx.engine, keep)})
    try:
        if args.everywhere:
            counts["noted"] = await leftovers.note_unnamed(ctx.engine, ctx.storage, ctx.now() - keep)
        while True:
            await still_ours(ctx.engine, ctx.claim)
            done = await leftovers.delete_some(ctx.engine, ctx.storage, keep)
            if done is None:
                return Done({"dry_run": False, **counts})
            counts.update(done)
    except StorageFailed as passing:
        return Retry(str(passing))
