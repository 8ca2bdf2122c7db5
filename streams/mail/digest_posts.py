"""The posts of a digest: public ones of the week by authors who are active; those of whom the user follows first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.backend_presence import Presence
from streams.backend_rows import as_id_of

MOST = 10
CANDIDATES = 60
"""Of everybody's best: more than a digest has, for those are left out that one follows, or has written oneself."""


@dataclass(frozen=True)
class Post:
    """As templates see it. ``url`` where the settings say how one is made."""

    author: str
    text: str
    likes: int
    comments: int
    shares: int
    followed: bool
    url: str | None


async def find_best(connection: AsyncConnection, presence: Presence, since: datetime, until: datetime) -> list[str]:
    """The ids of everybody's best posts of this time, the best first."""
    posts = presence.backend.posts.c
    statement = (
        sa.select(posts.id)
        .select_from(_with_authors(presence))
        .where(_may_be_shown(presence), posts.created_at >= since, posts.created_at < until)
        .order_by(_score(presence).desc(), posts.id.desc())
        .limit(CANDIDATES)
    )
    return [str(post_id) for post_id in (await connection.execute(statement)).scalars()]


async def find_posts(
    connection: AsyncConnection,
    presence: Presence,
    readers: Sequence[str],
    best: Sequence[str],
    between: tuple[datetime, datetime],
    post_url: str | None,
) -> list[list[Post]]:
    """What the digest of each reader shows, as the rows are now: at most ten, and none of the reader's own."""
    posts = presence.backend.posts.c
    ids = [as_id_of(presence.backend.users.c.id, reader) for reader in readers]
    known = [as_id_of(posts.id, post_id) for post_id in best]
    everybodys = (await connection.execute(_shown(presence, sa.false()).where(posts.id.in_(known)))).all()
    followed: dict[Any, list[sa.Row[Any]]] = {}
    if presence.has(presence.backend.follows):
        for row in await connection.execute(_of_followed(presence, ids, between)):
            followed.setdefault(row.reader, []).append(row)
    return [[_post(row, post_url) for row in _chosen(followed.get(reader, []), everybodys, reader)] for reader in ids]


def _chosen(followed: "Sequence[sa.Row[Any]]", everybodys: "Sequence[sa.Row[Any]]", reader: Any) -> "list[sa.Row[Any]]":
    """What is followed comes first, and is there once."""
    rows = [*followed, *(row for row in everybodys if row.author_id != reader)]
    first = {row.id: row for row in reversed(rows)}
    return [first[post_id] for post_id in dict.fromkeys(row.id for row in rows)][:MOST]


def _of_followed(presence: Presence, ids: Sequence[Any], between: tuple[datetime, datetime]) -> "sa.Select[Any]":
    """The best of whom each reader follows, with the reader's id; one reader after the other."""
    posts, follows, key = presence.backend.posts.c, presence.backend.follows.c, presence.backend.users.c.id
    readers = sa.func.unnest(sa.literal(list(ids), ARRAY(key.type)))
    want = readers.table_valued(sa.column("id", key.type), name="want").render_derived()
    followed = sa.select(follows.following_id).where(follows.follower_id == want.c.id).correlate(want)
    shown = (
        _shown(presence, sa.true())
        .where(posts.author_id.in_(followed), posts.author_id != want.c.id)
        .where(posts.created_at >= between[0], posts.created_at < between[1])
        .limit(MOST)
        .correlate(want)
        .lateral("shown")
    )
    best_first = (want.c.id, shown.c.score.desc(), shown.c.id.desc())
    return sa.select(want.c.id.label("reader"), *shown.c).select_from(want.join(shown, sa.true())).order_by(*best_first)


def _shown(presence: Presence, followed: "sa.ColumnElement[bool]") -> "sa.Select[Any]":
    posts, users = presence.backend.posts.c, presence.backend.users.c
    counts = (posts.likes_count, posts.comments_count, posts.shares_count)
    columns = (posts.id, posts.author_id, posts.content, users.username, users.first_name, users.last_name, *counts)
    score = _score(presence)
    return (
        sa.select(*(column.label(column.key) for column in columns), score.label("score"), followed.label("followed"))
        .select_from(_with_authors(presence))
        .where(_may_be_shown(presence))
        .order_by(score.desc(), posts.id.desc())
    )


def _with_authors(presence: Presence) -> sa.Join:
    posts, users = presence.backend.posts, presence.backend.users
    return posts.join(users, users.c.id == posts.c.author_id)


def _may_be_shown(presence: Presence) -> "sa.ColumnElement[bool]":
    return sa.and_(presence.backend.posts.c.visibility == "public", presence.backend.users.c.is_active)


def _score(presence: Presence) -> "sa.ColumnElement[int]":
    """As engagement is scored, without the age: all are of one week."""
    posts = presence.backend.posts.c
    return 3 * posts.likes_count + 5 * posts.comments_count + 7 * posts.shares_count + posts.views_count


def _post(row: "sa.Row[Any]", post_url: str | None) -> Post:
    return Post(
        author=f"{row.first_name} {row.last_name}".strip() or f"@{row.username}",
        text=" ".join(row.content.split()),
        likes=row.likes_count,
        comments=row.comments_count,
        shares=row.shares_count,
        followed=row.followed,
        url=post_url.replace("{post_id}", str(row.id)) if post_url else None,
    )
