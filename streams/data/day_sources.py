"""The tables that a day's analytics are counted from: which there are, and what each says."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from streams.backend_presence import Presence
from streams.data.needs import absent, problem

Column = sa.Column[Any]


@dataclass(frozen=True)
class Source:
    """Rows that are counted under a name, by their time; ``actor``: the user who was active by it."""

    name: str
    at: Column
    actor: Column | None


@dataclass(frozen=True)
class Day:
    """A day by UTC."""

    date: date

    @property
    def begin(self) -> datetime:
        return datetime.combine(self.date, time(), UTC)

    @property
    def end(self) -> datetime:
        return self.begin + timedelta(days=1)

    def has(self, at: "sa.ColumnElement[Any]") -> sa.ColumnElement[bool]:
        """Whether it was on this day; half open, so an index on the column serves it."""
        return sa.and_(at >= self.begin, at < self.end)


def sources(presence: Presence) -> list[Source]:
    """Those of tables that are there."""
    tables = presence.backend
    known = [
        Source("posts", tables.posts.c.created_at, tables.posts.c.author_id),
        Source("comments", tables.comments.c.created_at, tables.comments.c.author_id),
        Source("likes", tables.likes.c.created_at, tables.likes.c.user_id),
        Source("shares", tables.shares.c.created_at, tables.shares.c.user_id),
        Source("follows", tables.follows.c.created_at, tables.follows.c.follower_id),
        Source("new_users", tables.users.c.date_joined, None),
    ]
    return [source for source in known if presence.has(source.at.table)]


def missing(presence: Presence) -> list[str]:
    """The tables that the backend lacks; what they would tell is left out."""
    tables = presence.backend
    optional = (tables.comments, tables.likes, tables.content_types, tables.shares, tables.follows)
    return absent(presence, *optional, tables.hashtags, tables.post_hashtags)


def what_prevents_it(presence: Presence) -> str | None:
    """Why no day can be counted: users and posts must be there, and of all tables that are there the columns."""
    tables = presence.backend
    users, posts = tables.users.c, tables.posts.c
    needed = [users.id, users.date_joined, users.last_login, posts.id, posts.author_id, posts.created_at]
    needed += [posts.visibility, posts.image, posts.video]
    return problem(presence, *needed, *_of_optional_tables(presence))


def _of_optional_tables(presence: Presence) -> Iterator[Column]:
    tables = presence.backend
    columns = [column for source in sources(presence) for column in (source.at, source.actor) if column is not None]
    columns += [tables.comments.c.post_id, tables.shares.c.post_id, tables.likes.c.object_id]
    columns += [tables.likes.c.content_type_id, *tables.content_types.c]
    columns += [tables.hashtags.c.id, tables.hashtags.c.name, *tables.post_hashtags.c]
    return (column for column in columns if presence.has(column.table))
