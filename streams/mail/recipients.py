"""Who a mail goes to, as the backend's database knows them now."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backend import BackendTables
from streams.backend_rows import find_row


@dataclass(frozen=True)
class Recipient:
    """A user of the backend. ``user_id`` is text, as in our own tables."""

    user_id: str
    email: str
    username: str
    first_name: str
    joined_at: datetime

    @property
    def name(self) -> str:
        """How to address them."""
        return self.first_name.strip() or self.username


async def find_recipient(engine: AsyncEngine, backend: BackendTables, user_id: int | str) -> Recipient | None:
    """The user of this id, or None where there is none."""
    users = backend.users.c
    columns = (users.id, users.email, users.username, users.first_name, users.date_joined)
    row = await find_row(engine, backend.users, user_id, *columns)
    if row is None:
        return None
    return Recipient(str(row.id), row.email, row.username, row.first_name or "", row.date_joined)
