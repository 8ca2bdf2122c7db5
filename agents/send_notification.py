"""Tells a user something in the backend's own list of notifications."""

from typing import Annotated

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import Id
from streams.backend_rows import as_id_of, find_row
from streams.task import Context, Done, Outcome, Skip, task


class SendNotification(msgspec.Struct, frozen=True):
    """Who is told what; ``sender_id`` is the user who caused it, where there is one."""

    recipient_id: Id
    message: Annotated[str, msgspec.Meta(min_length=1)]
    notification_type: Annotated[str, msgspec.Meta(min_length=1, max_length=20)] = "system"
    sender_id: Id | None = None


@task(queue="users")
async def send_notification(args: SendNotification, ctx: Context) -> Outcome:
    """One row for one order, whatever is killed: it is written in the transaction that records the run."""
    users, notifications = ctx.backend.users, ctx.backend.notifications
    for user in (args.recipient_id, args.sender_id):
        if user is not None and await find_row(ctx.engine, users, user, users.c.id) is None:
            return Skip(f"user {user!r} does not exist")

    async def row(connection: AsyncConnection) -> None:
        await connection.execute(
            notifications.insert().values(
                recipient_id=as_id_of(users.c.id, args.recipient_id),
                sender_id=None if args.sender_id is None else as_id_of(users.c.id, args.sender_id),
                notification_type=args.notification_type,
                message=args.message,
                created_at=ctx.now(),
            )
        )

    return Done({"recipient_id": args.recipient_id}, effect=row)
