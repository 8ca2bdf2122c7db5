"""The backend's tables as Django creates them. They are read and written here, and never migrated.

Names of tables and columns may differ; code always writes the logical ones: ``backend.users.c.email``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from schemas import backend_shapes as shapes
from schemas.backend_naming import Naming, pair


@dataclass(frozen=True)
class BackendTables:
    """Every table of the backend that is known here, all of one ``metadata``. Not every backend has all of them.

    ``optional``: columns that are used where they exist, by their logical names, e.g. ``"users.time_zone"``.
    """

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
    outstanding_tokens: sa.Table
    blacklisted_tokens: sa.Table
    refresh_tokens: sa.Table
    optional: Mapping[str, sa.ColumnClause[Any]]
    metadata: sa.MetaData


def backend_tables(
    schema: str = "public",
    tables: Mapping[str, str] | None = None,
    columns: Mapping[str, str] | None = None,
    keys: Literal["bigint", "uuid"] = "bigint",
) -> BackendTables:
    """The tables under their real names, with primary keys of the type ``keys``.

    ``tables`` maps a default name to the real one (``{"users": "accounts_user"}``), ``columns`` maps
    ``"users.email"`` to the real column. Raises ``ValueError`` that names an unknown table or column and
    the nearest known.
    """
    named = Naming(schema, tables or {}, columns or {}, keys)
    users = shapes.users(named)
    posts = shapes.posts(named, users)
    content_types = shapes.content_types(named)
    shapes.optional_columns(named)
    built = BackendTables(
        users=users,
        posts=posts,
        content_types=content_types,
        **_of_users_and_posts(named, users, posts),
        **_of_anything(named, users, content_types),
        **_of_sessions(named, users),
        optional=named.optional,
        metadata=named.metadata,
    )
    named.refuse_unknown()
    return built


def _of_users_and_posts(named: Naming, users: sa.Table, posts: sa.Table) -> dict[str, sa.Table]:
    hashtags = shapes.hashtags(named)
    return {
        "follows": pair(named, "follows", follower_id=users, following_id=users),
        "comments": shapes.comments(named, users, posts),
        "hashtags": hashtags,
        "post_hashtags": pair(named, "post_hashtags", hashtag_id=hashtags, post_id=posts),
        "shares": shapes.shares(named, users, posts),
        "bookmarks": pair(named, "bookmarks", user_id=users, post_id=posts),
    }


def _of_anything(named: Naming, users: sa.Table, content_types: sa.Table) -> dict[str, sa.Table]:
    """What may be about a row of any table."""
    return {
        "likes": shapes.likes(named, users, content_types),
        "notifications": shapes.notifications(named, users, content_types),
        "reports": shapes.reports(named, users, content_types),
    }


def _of_sessions(named: Naming, users: sa.Table) -> dict[str, sa.Table]:
    outstanding = shapes.outstanding_tokens(named, users)
    return {
        "sessions": shapes.sessions(named),
        "outstanding_tokens": outstanding,
        "blacklisted_tokens": shapes.blacklisted_tokens(named, outstanding),
        "refresh_tokens": shapes.refresh_tokens(named, users),
    }
