"""Which posts nobody will miss: old, not pinned, hardly seen, and nobody has liked, discussed or shared them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.backend import BackendTables
from streams.backend_presence import Presence
from streams.cleanup.batches import is_one_of
from streams.data.needs import problem

POST = ("posts", "post")
"""Application and model by which generic relations name a post."""


@dataclass(frozen=True)
class Rule:
    """The rule as conditions on the real rows: the backend's counters may be wrong, and are not asked."""

    backend: BackendTables
    post_type: int
    before: datetime
    max_views: int

    @property
    def condition(self) -> "sa.ColumnElement[bool]":
        """True of a post that may go."""
        backend, posts = self.backend, self.backend.posts.c
        likes, comments, shares = backend.likes.c, backend.comments.c, backend.shares.c
        return sa.and_(
            posts.created_at < self.before,
            sa.not_(posts.is_pinned),
            posts.views_count < self.max_views,
            ~sa.exists().where(likes.content_type_id == self.post_type, likes.object_id == posts.id),
            ~sa.exists().where(comments.post_id == posts.id),
            ~sa.exists().where(shares.post_id == posts.id),
        )

    async def count(self, connection: AsyncConnection) -> tuple[int, int]:
        """How many posts may go, and how many there are."""
        counts = sa.func.count().filter(self.condition), sa.func.count()
        row = (await connection.execute(sa.select(*counts).select_from(self.backend.posts))).one()
        return int(row[0]), int(row[1])

    async def page(self, connection: AsyncConnection, after: Any, limit: int) -> list[Any]:
        """Ids of posts that may go, in order, from behind ``after``."""
        key = self.backend.posts.c.id
        beyond = sa.true() if after is None else key > after
        rows = sa.select(key).where(self.condition, beyond).order_by(key).limit(limit)
        return list((await connection.execute(rows)).scalars())

    async def lock(self, connection: AsyncConnection, ids: Sequence[Any]) -> "Sequence[sa.Row[Any]]":
        """Those of these posts that may still go, locked: whoever comments on one or shares it from then on waits at
        COMMIT, and is told by the foreign key that it is gone.

        Two statements: only a snapshot that is younger than the locks sees what was committed before them.
        """
        posts = self.backend.posts.c
        these = is_one_of(posts.id, ids)
        free = sa.select(posts.id).where(these).order_by(posts.id).with_for_update(skip_locked=True)
        locked = list((await connection.execute(free)).scalars())
        columns = (posts.id, posts.author_id, posts.image, posts.video)
        rows = sa.select(*(column.label(column.key) for column in columns))
        return (await connection.execute(rows.where(is_one_of(posts.id, locked), self.condition))).all()

    async def liked(self, connection: AsyncConnection, ids: Sequence[Any]) -> bool:
        """Whether a like has come in meanwhile: no foreign key, and so no lock, keeps one out."""
        likes = self.backend.likes.c
        found = sa.select(likes.id).where(likes.content_type_id == self.post_type, is_one_of(likes.object_id, ids))
        return (await connection.execute(found.limit(1))).first() is not None


def lacking(presence: Presence) -> str | None:
    """Why the rule cannot be verified on this backend; None where it can. What is not there cannot be zero."""
    backend = presence.backend
    posts, likes = backend.posts.c, backend.likes.c
    return problem(
        presence,
        *(posts.id, posts.author_id, posts.created_at, posts.is_pinned, posts.views_count, posts.image, posts.video),
        *(likes.id, likes.content_type_id, likes.object_id, backend.content_types.c.id),
        *(backend.comments.c.post_id, backend.shares.c.post_id),
    )


async def type_of_posts(connection: AsyncConnection, backend: BackendTables) -> int | None:
    """The number by which generic relations name posts, or None where the backend has none."""
    types = backend.content_types.c
    app, model = POST
    found = await connection.execute(sa.select(types.id).where(types.app_label == app, types.model == model))
    return found.scalar_one_or_none()
