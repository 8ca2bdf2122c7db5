"""Orders the digests of a week: one command for each reader, due on Monday at nine where the reader is."""

from collections.abc import Mapping
from datetime import timedelta

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from agents.send_digest import send_digest
from streams.data.key_range import KeyRange
from streams.data.needs import look, problem
from streams.data.progress import Progress, forget
from streams.data.ranges import in_ranges
from streams.mail import digest_editions as editions
from streams.mail.digest_readers import readers_in
from streams.mail.digest_times import TOO_LATE, due, week_of
from streams.mail.fan_out import submit_many
from streams.task import Concurrency, Context, Dead, Done, Outcome, Skip, task


class ContentDigest(msgspec.Struct, frozen=True):
    """``week`` as 2026-W48; by default the one that begins next, or has begun. ``dry_run`` counts the readers only."""

    week: str | None = None
    dry_run: bool = False


@task(
    queue="emails",
    timeout=timedelta(hours=2),
    concurrency=Concurrency(key=lambda _: "send_content_digest_email"),
)
async def send_content_digest_email(args: ContentDigest, ctx: Context) -> Outcome:
    """Each reader is ordered one digest a week, however often this runs and wherever it is killed: the commands of a
    range of users commit with how far the run has come.
    """
    week, presence = args.week or week_of(ctx.command.caused_at), await look(ctx)
    users, posts = ctx.backend.users.c, ctx.backend.posts.c
    if said := _problem(week) or problem(
        presence, users.id, users.last_login, users.is_active, users.email, posts.visibility
    ):
        return Dead(said)
    if not args.dry_run and ctx.now() > due(week, None) + TOO_LATE:
        return Skip(f"the week {week} is over")
    seen_since = ctx.now() - ctx.settings.tasks.digest_active_within
    if not args.dry_run:
        async with ctx.engine.begin() as connection:
            await editions.open_edition(connection, presence, week, ctx.command.caused_at)

    async def order(connection: AsyncConnection, keys: KeyRange, _: Progress) -> Mapping[str, int]:
        scanned, readers = await readers_in(connection, presence, keys, seen_since)
        if args.dry_run:
            return {"scanned": scanned, "readers": len(readers)}
        spread = await editions.load_spread(connection, week, ctx.settings.tasks.digest_per_second)
        ordered = await submit_many(connection, spread.orders(readers, send_digest.name, send_digest.queue))
        await editions.keep_spread(connection, week, spread)
        return {"scanned": scanned, "readers": len(readers), "ordered": ordered}

    progress = await in_ranges(ctx, ctx.backend.users.c.id, order)
    return Done({"week": week, **progress.counts}, effect=forget(ctx))


def _problem(week: str) -> str | None:
    try:
        due(week, None)
    except ValueError as error:
        return str(error)
    return None
