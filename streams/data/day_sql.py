"""The statements that count one day. They only read."""

from typing import Any

import sqlalchemy as sa

from schemas.backend import BackendTables
from streams.backend_presence import Presence
from streams.data.day_sources import Day, sources
from streams.data.engagement import COMMENT, LIKE, SHARE

TOP = 10
Statement = sa.Select[Any] | sa.CompoundSelect[Any]


def by_hour(presence: Presence, day: Day) -> Statement:
    """``name``, ``hour``, ``rows``: what there was of each kind in each hour that had any."""
    return sa.union_all(
        *(
            sa.select(sa.literal(source.name).label("name"), _hour(source.at), sa.func.count().label("rows"))
            .where(day.has(source.at))
            .group_by(sa.text("2"))
            for source in sources(presence)
        )
    )


def active_users(presence: Presence, day: Day) -> Statement:
    """``hour``, ``rows``: different users who logged in or did something, in each hour, and of the day where it is
    null.
    """
    users = presence.backend.users.c
    seen = [(source.actor, source.at) for source in sources(presence) if source.actor is not None]
    seen.append((users.id, users.last_login))
    acts = sa.union_all(*(sa.select(actor.label("actor"), _hour(at)).where(day.has(at)) for actor, at in seen))
    acted = acts.subquery("acted")
    distinct = sa.func.count(acted.c.actor.distinct()).label("rows")
    sets = sa.func.grouping_sets(sa.tuple_(acted.c.hour), sa.tuple_())
    return sa.select(acted.c.hour, distinct).group_by(sets)


def posts_by_kind(presence: Presence, day: Day) -> Statement:
    """``visibility``, ``media``, ``rows``."""
    posts = presence.backend.posts.c
    image, video = (sa.func.coalesce(column, "") != "" for column in (posts.image, posts.video))
    media = sa.case((sa.and_(image, video), "image and video"), (image, "image"), (video, "video"), else_="none")
    kind = posts.visibility.label("visibility"), media.label("media")
    return sa.select(*kind, sa.func.count().label("rows")).where(day.has(posts.created_at)).group_by(sa.text("1, 2"))


def totals(presence: Presence, day: Day) -> Statement:
    """One row: what there was at the end of the day, of what is there still."""
    counts = {
        {"new_users": "users"}.get(source.name, source.name): sa.select(sa.func.count())
        .where(source.at < day.end)
        .scalar_subquery()
        for source in sources(presence)
    }
    return sa.select().add_columns(*(count.label(name) for name, count in counts.items()))


def top_posts(presence: Presence, day: Day) -> Statement | None:
    """The posts that were given most on the day, whenever they were posted. Views have no time, and do not count."""
    given = _given(presence, day)
    if not given:
        return None
    rows, posts = sa.union_all(*given).subquery("given"), presence.backend.posts.c
    sums = {name: sa.func.sum(rows.c[name]) for name in ("likes", "comments", "shares")}
    points = sums["likes"] * LIKE + sums["comments"] * COMMENT + sums["shares"] * SHARE
    numbers = [sa.cast(found, sa.BigInteger).label(name) for name, found in {**sums, "points": points}.items()]
    names = sa.cast(posts.id, sa.Text).label("post_id"), sa.cast(posts.author_id, sa.Text).label("author_id")
    return (
        sa.select(*names, posts.visibility.label("visibility"), *numbers)
        .join_from(presence.backend.posts, rows, rows.c.post_id == posts.id)
        .group_by(posts.id, posts.author_id, posts.visibility)
        .order_by(points.desc(), posts.id)
        .limit(TOP)
    )


def _given(presence: Presence, day: Day) -> list["sa.Select[Any]"]:
    tables = presence.backend
    found = []
    if presence.has(tables.likes, tables.content_types):
        liked = _each(tables.likes.c.object_id, "likes").join_from(tables.likes, tables.content_types)
        found.append(liked.where(day.has(tables.likes.c.created_at), _is_a_post(tables)))
    for name in ("comments", "shares"):
        table: sa.Table = getattr(tables, name)
        if presence.has(table):
            found.append(_each(table.c.post_id, name).where(day.has(table.c.created_at)))
    return found


def _each(post: "sa.Column[Any]", name: str) -> "sa.Select[Any]":
    """A row for each row, with 1 under its name."""
    ones = (sa.literal(int(name == one)).label(one) for one in ("likes", "comments", "shares"))
    return sa.select().add_columns(post.label("post_id"), *ones)


def _is_a_post(tables: BackendTables) -> sa.ColumnElement[bool]:
    types = tables.content_types.c
    return sa.and_(types.app_label == "posts", types.model == "post")


def top_tags(presence: Presence, day: Day) -> Statement | None:
    """The tags that most posts were given on the day."""
    tables = presence.backend
    if not presence.has(tables.hashtags, tables.post_hashtags):
        return None
    tag, posts = tables.hashtags.c.name, sa.func.count(tables.post_hashtags.c.post_id.distinct())
    return (
        sa.select(tag.label("tag"), posts.label("posts"))
        .join_from(tables.post_hashtags, tables.hashtags)
        .where(day.has(tables.post_hashtags.c.created_at))
        .group_by(tag)
        .order_by(posts.desc(), sa.collate(tag, "C"))
        .limit(TOP)
    )


def _hour(at: "sa.Column[Any]") -> "sa.Label[int]":
    return sa.cast(sa.func.date_part("hour", sa.func.timezone("UTC", at)), sa.Integer).label("hour")
