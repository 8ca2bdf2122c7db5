"""The backend's tables as Django creates them. They are read and written here, and never migrated.

Names of tables and columns may differ; code always writes the logical ones: ``backend.users.c.email``.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

Timestamp = sa.TIMESTAMP(timezone=True)


@dataclass(frozen=True)
class BackendTables:
    """Every table of the backend that is known here, all of one ``metadata``."""

    users: sa.Table
    follows: sa.Table
    posts: sa.Table
    comments: sa.Table
    hashtags: sa.Table
    post_hashtags: sa.Table
    likes: sa.Table
    content_types: sa.Table
    shares: sa.Table
    bookmarks: sa.Table
    notifications: sa.Table
    reports: sa.Table
    sessions: sa.Table
    metadata: sa.MetaData


def backend_tables(
    schema: str = "public", tables: Mapping[str, str] | None = None, columns: Mapping[str, str] | None = None
) -> BackendTables:
    """The tables under their real names.

    ``tables`` maps a default name to the real one (``{"users": "accounts_user"}``), ``columns`` maps
    ``"users.email"`` to the real column. Raises ``ValueError`` that names an unknown table or column and
    the nearest known.
    """
    named = _Named(schema, tables or {}, columns or {})
    users = _users(named)
    posts = _posts(named, users)
    hashtags = _hashtags(named)
    content_types = _content_types(named)
    built = BackendTables(
        users=users,
        follows=_pair(named, "follows", follower_id=users, following_id=users),
        posts=posts,
        comments=_comments(named, users, posts),
        hashtags=hashtags,
        post_hashtags=_pair(named, "post_hashtags", hashtag_id=hashtags, post_id=posts),
        likes=_likes(named, users, content_types),
        content_types=content_types,
        shares=_shares(named, users, posts),
        bookmarks=_pair(named, "bookmarks", user_id=users, post_id=posts),
        notifications=_notifications(named, users, content_types),
        reports=_reports(named, users, content_types),
        sessions=_sessions(named),
        metadata=named.metadata,
    )
    named.refuse_unknown()
    return built


class _Named:
    """Gives tables and columns their real names and remembers which logical names there are."""

    def __init__(self, schema: str, tables: Mapping[str, str], columns: Mapping[str, str]) -> None:
        self.metadata = sa.MetaData(schema=schema)
        self._tables, self._columns = tables, columns
        self._known_tables: set[str] = set()
        self._known_columns: set[str] = set()

    def table(self, name: str, *parts: "sa.Column[Any] | sa.UniqueConstraint") -> sa.Table:
        """A table; the names that its columns have now become their keys."""
        self._known_tables.add(name)
        for part in parts:
            if isinstance(part, sa.Column):
                logical = f"{name}.{part.name}"
                self._known_columns.add(logical)
                part.name = sa.sql.quoted_name(self._columns.get(logical, part.name), None)
        return sa.Table(self._tables.get(name, name), self.metadata, *parts)

    def refuse_unknown(self) -> None:
        _refuse("TAILRACE_BACKEND__TABLES", "table", self._tables, self._known_tables)
        _refuse("TAILRACE_BACKEND__COLUMNS", "column", self._columns, self._known_columns)


def _refuse(setting: str, kind: str, given: Iterable[str], known: set[str]) -> None:
    for name in given:
        if name not in known:
            nearest = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0)[0]
            raise ValueError(f"{setting}: the backend has no {kind} {name!r}; the nearest is {nearest!r}")


def _column(name: str, kind: Any, *, nullable: bool = False, default: Any = None) -> "sa.Column[Any]":
    """A column. ``default`` is filled in by our inserts: Django keeps no defaults in the database."""
    return sa.Column(name, kind, key=name, nullable=nullable, default=default)


def _id(kind: Any = sa.BigInteger) -> "sa.Column[Any]":
    return sa.Column("id", kind, sa.Identity(), key="id", primary_key=True)


def _texts(length: int | None, *names: str) -> "Iterator[sa.Column[Any]]":
    for name in names:
        yield _column(name, sa.String(length) if length else sa.Text(), default="")


def _counts(*names: str) -> "Iterator[sa.Column[Any]]":
    for name in names:
        yield _column(name, sa.Integer, default=0)


def _flags(*names: str) -> "Iterator[sa.Column[Any]]":
    for name in names:
        yield _column(name, sa.Boolean, default=name == "is_active")


def _instants(*names: str) -> "Iterator[sa.Column[Any]]":
    for name in names:
        yield _column(name, Timestamp, default=sa.func.now())


def _reference(name: str, to: sa.Table, *, nullable: bool = False) -> "sa.Column[Any]":
    """A foreign key as Django makes it: checked at commit, without ON DELETE."""
    key = sa.ForeignKey(to.c.id, deferrable=True, initially="DEFERRED")
    return sa.Column(name, to.c.id.type, key, key=name, nullable=nullable, index=True)


def _pair(named: _Named, table: str, **ends: sa.Table) -> sa.Table:
    """A relation that holds once for each pair."""
    references = [_reference(name, to) for name, to in ends.items()]
    return named.table(table, _id(), *_instants("created_at"), *references, sa.UniqueConstraint(*ends))


def _users(named: _Named) -> sa.Table:
    return named.table(
        "users",
        _id(),
        *_texts(128, "password"),
        _column("last_login", Timestamp, nullable=True),
        _column("username", sa.String(150)),
        *_texts(150, "first_name", "last_name"),
        *_flags("is_superuser", "is_staff", "is_active", "is_verified"),
        *_instants("date_joined", "created_at", "updated_at"),
        _column("email", sa.String(254)),
        *_texts(None, "bio"),
        _column("avatar", sa.String(100), nullable=True),
        _column("birth_date", sa.Date, nullable=True),
        *_texts(100, "location"),
        *_texts(200, "website"),
        *_counts("followers_count", "following_count", "posts_count"),
        sa.UniqueConstraint("username"),
    )


def _posts(named: _Named, users: sa.Table) -> sa.Table:
    return named.table(
        "posts",
        _id(),
        *_texts(None, "content"),
        _column("image", sa.String(100), nullable=True),
        _column("video", sa.String(100), nullable=True),
        _column("visibility", sa.String(20), default="public"),
        *_flags("is_pinned"),
        *_counts("likes_count", "comments_count", "shares_count", "views_count"),
        *_instants("created_at", "updated_at"),
        _reference("author_id", users),
    )


def _comments(named: _Named, users: sa.Table, posts: sa.Table) -> sa.Table:
    key = _id()
    parent = sa.ForeignKey(key, deferrable=True, initially="DEFERRED")
    return named.table(
        "comments",
        key,
        *_texts(None, "content"),
        *_counts("likes_count"),
        *_instants("created_at", "updated_at"),
        _reference("author_id", users),
        sa.Column("parent_id", sa.BigInteger, parent, key="parent_id", index=True),
        _reference("post_id", posts),
    )


def _hashtags(named: _Named) -> sa.Table:
    name, unique = _column("name", sa.String(100)), sa.UniqueConstraint("name")
    return named.table("hashtags", _id(), name, *_counts("posts_count"), *_instants("created_at"), unique)


def _content_types(named: _Named) -> sa.Table:
    columns = _column("app_label", sa.String(100)), _column("model", sa.String(100))
    unique = sa.UniqueConstraint("app_label", "model")
    return named.table("django_content_type", _id(sa.Integer), *columns, unique)


def _likes(named: _Named, users: sa.Table, content_types: sa.Table) -> sa.Table:
    ends = _reference("content_type_id", content_types), _reference("user_id", users)
    unique = sa.UniqueConstraint("user_id", "content_type_id", "object_id")
    thing = _column("object_id", sa.Integer)
    return named.table("likes", _id(), thing, *_instants("created_at"), *ends, unique)


def _shares(named: _Named, users: sa.Table, posts: sa.Table) -> sa.Table:
    ends = _reference("post_id", posts), _reference("user_id", users)
    kind = _column("share_type", sa.String(20), default="repost")
    return named.table("shares", _id(), kind, *_texts(None, "comment"), *_instants("created_at"), *ends)


def _notifications(named: _Named, users: sa.Table, content_types: sa.Table) -> sa.Table:
    return named.table(
        "notifications",
        _id(),
        _column("notification_type", sa.String(20)),
        *_texts(None, "message"),
        *_flags("is_read"),
        _column("object_id", sa.Integer, nullable=True),
        *_instants("created_at"),
        _reference("content_type_id", content_types, nullable=True),
        _reference("recipient_id", users),
        _reference("sender_id", users, nullable=True),
    )


def _reports(named: _Named, users: sa.Table, content_types: sa.Table) -> sa.Table:
    return named.table(
        "reports",
        _id(),
        *_texts(50, "reason"),
        *_texts(None, "description"),
        _column("status", sa.String(20), default="pending"),
        _reference("content_type_id", content_types),
        _column("object_id", sa.Integer),
        _reference("reporter_id", users),
        *_instants("created_at", "updated_at"),
    )


def _sessions(named: _Named) -> sa.Table:
    key = sa.Column("session_key", sa.String(40), key="session_key", primary_key=True)
    return named.table("django_session", key, *_texts(None, "session_data"), _column("expire_date", Timestamp))
