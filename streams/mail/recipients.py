"""Who a mail goes to, as the backend's database knows them now."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncEngine

from streams.backend_presence import Presence
from streams.backend_rows import find_row
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


async def find_recipient(engine: AsyncEngine, presence: Presence, user_id: int | str) -> Recipient | None:
    """The user of this id, or None where there is none."""
    optional = {name: presence.optional(f"users.{name}") for name in ("locale", "time_zone")}
    users = presence.backend.users.c
    columns = (users.id, users.email, users.username, users.first_name, users.date_joined, users.last_login)
    row = await find_row(engine, presence.backend.users, user_id, *columns, users.is_active, **optional)
    if row is None:
        return None
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
