"""Who gets a digest: users who are active, were here lately and have not unsubscribed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.tables_mail import suppressions
from streams.backend_presence import Presence
from streams.data.key_range import KeyRange
from streams.mail.digest_editions import Reader
from streams.mail.digest_times import zone_of
from streams.mail.recipients import Recipient
from streams.mail.suppressions import EVERY_LIST
from streams.mail.template import DIGEST


async def readers_in(
    connection: AsyncConnection, presence: Presence, keys: KeyRange, seen_since: datetime
) -> tuple[int, Sequence[Reader]]:
    """How many users there are in this range of keys, and the readers among them, by key."""
    users, zone = presence.backend.users.c, presence.optional("users.time_zone")
    there = keys.covers(users.id)
    scanned = (
        await connection.execute(sa.select(sa.func.count()).select_from(presence.backend.users).where(there))
    ).scalar_one()
    columns: list[sa.ColumnElement[Any]] = [users.id.label("id"), (sa.null() if zone is None else zone).label("zone")]
    statement = (
        sa.select(*columns)
        .select_from(presence.backend.users)
        .where(there, users.is_active, users.last_login >= seen_since, users.email != "", ~_unsubscribed(users.id))
        .order_by(users.id)
    )
    rows = await connection.execute(statement)
    return scanned, [Reader(str(row.id), zone_of(row.zone)) for row in rows]


def why_not(user: Recipient, now: datetime, active_within: timedelta) -> str | None:
    """Why this user is no reader now; None where they are one."""
    if not user.is_active:
        return f"user {user.user_id!r} is not active"
    if user.last_login is None or now - user.last_login > active_within:
        seen = user.last_login.isoformat(timespec="seconds") if user.last_login else "never"
        return f"user {user.user_id!r} was last here {seen}, and not within {active_within}"
    if not user.email:
        return f"user {user.user_id!r} has no mail address"
    return None


def _unsubscribed(user_id: "sa.ColumnElement[Any]") -> "sa.ColumnElement[bool]":
    unwanted = suppressions.c
    return sa.exists().where(
        unwanted.kind == "user",
        unwanted.value == sa.cast(user_id, sa.Text),
        unwanted.mailing_list.in_([EVERY_LIST, DIGEST.mailing_list]),
    )
