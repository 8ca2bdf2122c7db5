"""Which users are active: those who may log in, and have done something lately."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.backend_presence import Presence
from streams.cleanup.batches import is_one_of


@dataclass(frozen=True)
class SignsOfLife:
    """Since when a user must have logged in, joined, posted, commented, liked, shared or followed to be active.

    A login alone would not do: a backend that renews its sessions logs nobody in for months.
    """

    presence: Presence
    since: datetime

    @property
    def users(self) -> sa.Table:
        return self.presence.backend.users

    async def of(self, engine: AsyncEngine, users: Collection[Any]) -> set[Any]:
        """Those of these users that there are and that are active."""
        if not users:
            return set()
        table = self.users.c
        lately = [table.last_login >= self.since, table.date_joined >= self.since, *self._done_something()]
        wanted = sa.select(table.id).where(is_one_of(table.id, list(users)), table.is_active, sa.or_(*lately))
        async with engine.connect() as connection:
            return set((await connection.execute(wanted)).scalars())

    def _done_something(self) -> "list[sa.ColumnElement[bool]]":
        backend = self.presence.backend
        doers = (
            (backend.posts, "author_id"),
            (backend.comments, "author_id"),
            (backend.likes, "user_id"),
            (backend.shares, "user_id"),
            (backend.follows, "follower_id"),
        )
        return [
            sa.exists().where(table.c[doer] == self.users.c.id, table.c.created_at >= self.since)
            for table, doer in doers
            if not self.presence.missing_columns(table)
        ]
