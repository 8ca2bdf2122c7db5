"""Mails one reader the week's best posts."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import Id
from streams.mail import deliveries
from streams.mail.digest_mail import digest_mail
from streams.mail.digest_readers import why_not
from streams.mail.digest_times import TOO_LATE, due
from streams.mail.patience import THROUGH_AN_OUTAGE
from streams.mail.template import DIGEST
from streams.task import Context, Effect, Outcome, Skip, task


class Digest(msgspec.Struct, frozen=True):
    """``week`` as 2026-W48, of which ``send_content_digest_email`` has begun the digests."""

    user_id: Id
    week: str


def _leave_in_doubt(args: Digest, reason: str) -> Effect:
    async def row(connection: AsyncConnection) -> None:
        await deliveries.give_up(connection, DIGEST, str(args.user_id), args.week)

    return row


@task(queue="emails", retry=THROUGH_AN_OUTAGE, on_dead=_leave_in_doubt, sends_mail=True)
async def send_digest(args: Digest, ctx: Context) -> Outcome:
    """Once per user and week. A mail that may have gone is held: a second copy would be worse than none."""
    presence = await ctx.mailer.look(ctx.backend)
    reading = ctx.mailer.reading
    user = await reading.recipient(presence, args.user_id)
    if user is None:
        return Skip(f"user {args.user_id!r} does not exist")
    now = ctx.now()
    if said := why_not(user, now, ctx.settings.tasks.digest_active_within):
        return Skip(said)
    edition = await reading.edition(args.week)
    if edition is None:
        return Skip(f"nobody has begun the digests of {args.week}; `tailrace enqueue send_content_digest_email` does")
    if now > due(args.week, user.zone) + TOO_LATE:
        return Skip(f"the week {args.week} is over")
    posts = await reading.posts(presence, user.user_id, edition)
    if not posts:
        return Skip(f"nothing was posted that user {args.user_id!r} could be shown")
    return await ctx.mailer.send(digest_mail(user, args.week, posts), ctx.claim, now)
