"""Greets a new user by mail, once for ever."""

import msgspec

from schemas.events import Id, UserCreated
from streams.mail.recipients import Recipient, find_recipient
from streams.mail.template import WELCOME, Mail
from streams.task import Context, Outcome, Skip, task


class WelcomeEmail(msgspec.Struct, frozen=True):
    """Only the id: name and address are read when the mail is sent."""

    user_id: Id


def _of(user: UserCreated) -> WelcomeEmail:
    return WelcomeEmail(user.user_id)


@task(queue="emails", on=UserCreated, args=_of)
async def send_welcome_email(args: WelcomeEmail, ctx: Context) -> Outcome:
    """A user who joined long ago gets none: a backfill or a replay of old events mails nobody."""
    user = await find_recipient(ctx.engine, ctx.backend, args.user_id)
    if user is None:
        return Skip(f"user {args.user_id!r} does not exist")
    max_age = ctx.settings.tasks.welcome_max_age
    if ctx.now() - user.joined_at > max_age:
        joined = user.joined_at.isoformat(timespec="seconds")
        return Skip(f"user {args.user_id!r} joined at {joined}, more than {max_age} ago")
    if not user.email:
        return Skip(f"user {args.user_id!r} has no mail address")
    return await ctx.mailer.send(_mail(user), ctx.claim, ctx.now())


def _mail(user: Recipient) -> Mail:
    values = {"name": user.name, "username": user.username}
    return Mail(WELCOME, user.user_id, cause=f"user:{user.user_id}", recipient=user.email, values=values)
