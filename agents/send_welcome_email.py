"""Greets a new user by mail, once for ever."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import Id, UserCreated
from streams.mail import deliveries
from streams.mail.patience import THROUGH_AN_OUTAGE
from streams.mail.template import WELCOME
from streams.mail.welcome_mail import welcome_cause, welcome_mail
from streams.task import Context, Effect, Outcome, Skip, task


class WelcomeEmail(msgspec.Struct, frozen=True):
    """Only the id: name and address are read when the mail is sent."""

    user_id: Id


def _of(user: UserCreated) -> WelcomeEmail:
    return WelcomeEmail(user.user_id)


def _leave_in_doubt(args: WelcomeEmail, reason: str) -> Effect:
    async def row(connection: AsyncConnection) -> None:
        user_id = str(args.user_id)
        await deliveries.give_up(connection, WELCOME, user_id, welcome_cause(user_id))

    return row


@task(queue="emails", on=UserCreated, args=_of, retry=THROUGH_AN_OUTAGE, on_dead=_leave_in_doubt, sends_mail=True)
async def send_welcome_email(args: WelcomeEmail, ctx: Context) -> Outcome:
    """A user who joined long ago gets none: a backfill or a replay of old events mails nobody."""
    presence = await ctx.mailer.look(ctx.backend)
    user = await ctx.mailer.reading.recipient(presence, args.user_id)
    if user is None:
        return Skip(f"user {args.user_id!r} does not exist")
    max_age = ctx.settings.tasks.welcome_max_age
    if ctx.now() - user.joined_at > max_age:
        joined = user.joined_at.isoformat(timespec="seconds")
        return Skip(f"user {args.user_id!r} joined at {joined}, more than {max_age} ago")
    if not user.email:
        return Skip(f"user {args.user_id!r} has no mail address")
    return await ctx.mailer.send(welcome_mail(user), ctx.claim, ctx.now())
