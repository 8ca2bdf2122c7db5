"""Who a mail goes to, as the backend's database knows them now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.backend_presence import Presence
from streams.backend_rows import as_id_of
from streams.mail.digest_times import zone_of


@dataclass(frozen=True)
class Recipient:
    """A user of the backend. ``user_id`` is text, as in our own tables. ``locale``, ``zone``: where known."""

    user_id: str
    email: str
    username: str
    first_name: str
    joined_at: datetime
    last_login: datetime | None
    is_active: bool
    locale: str | None
    zone: ZoneInfo | None

    @property
    def name(self) -> str:
        """How to address them."""
        return self.first_name.strip() or self.username


async def find_recipients(
    connection: AsyncConnection, presence: Presence, user_ids: Sequence[int | str]
) -> list[Recipient | None]:
    """The users of these ids, each None where there is none."""
    users = presence.backend.users.c
    ids = [as_id_of(users.id, user_id) for user_id in user_ids]
    columns = (users.id, users.email, users.username, users.first_name, users.date_joined, users.last_login)
    wanted: list[sa.ColumnElement[Any]] = [column.label(column.key) for column in (*columns, users.is_active)]
    for name in ("locale", "time_zone"):
        found = presence.optional(f"users.{name}")
        wanted.append((sa.null() if found is None else found).label(name))
    known = sa.literal([known for known in ids if known is not None], ARRAY(users.id.type))
    rows = await connection.execute(sa.select(*wanted).where(users.id == sa.any_(known)))
    by_id = {row.id: _recipient(row) for row in rows}
    return [by_id.get(known) for known in ids]


def _recipient(row: "sa.Row[Any]") -> Recipient:
    return Recipient(
        user_id=str(row.id),
        email=row.email,
        username=row.username,
        first_name=row.first_name or "",
        joined_at=row.date_joined,
        last_login=row.last_login,
        is_active=row.is_active,
        locale=row.locale,
        zone=zone_of(row.time_zone),
    )
