"""Deletes notifications that were read and are old."""

from datetime import timedelta

import msgspec
import sqlalchemy as sa

from streams.cleanup.batches import Batches
from streams.cleanup.foreign_keys import nothing_refers_to, read_foreign_keys
from streams.data.needs import look, problem
from streams.task import Concurrency, Context, Done, Outcome, Skip, task


class CleanupOldNotifications(msgspec.Struct, frozen=True):
    """``dry_run`` counts what would be deleted, and deletes nothing."""

    dry_run: bool = False


@task(
    queue="maintenance",
    timeout=timedelta(hours=1),
    concurrency=Concurrency(key=lambda _: "cleanup_old_notifications"),
)
async def cleanup_old_notifications(args: CleanupOldNotifications, ctx: Context) -> Outcome:
    """Unread ones stay, and those that a table refers to which Tailrace does not know. Each batch is a transaction of
    its own: a run that was killed is repeated and goes on.
    """
    notifications = ctx.backend.notifications
    needed = notifications.c
    if lacking := problem(await look(ctx), needed.id, needed.is_read, needed.created_at):
        return Skip(lacking)
    async with ctx.engine.connect() as connection:
        keys = await read_foreign_keys(connection)
    oldest = ctx.now() - ctx.settings.cleanup.notifications_keep
    old = sa.and_(notifications.c.is_read, notifications.c.created_at < oldest, nothing_refers_to(notifications, keys))
    (deleted,) = await Batches(ctx.engine, ctx.claim, args.dry_run).delete(notifications, old)
    return Done({"dry_run": args.dry_run, "deleted": deleted, "older_than": oldest.isoformat(timespec="seconds")})
