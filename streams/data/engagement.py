"""The engagement scores of posts: what they were given, less for each day of their age."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from schemas.tables_data import post_engagement
from streams.data.corrections import correction, counted, materialized
from streams.data.key_range import KeyRange

LIKE, COMMENT, SHARE, VIEW = 3, 5, 7, 1
DAYS = 10
"""A post loses a tenth of its score a day; the last tenth stays."""


def score(posts: sa.Table, as_of: datetime) -> "sa.ColumnElement[Any]":
    """(3 likes + 5 comments + 7 shares + 1 views) x max(0.1, 1 - 0.1 x whole days old), exact until the last division.

    A post from later than ``as_of`` counts as new.
    """
    weights = {"likes_count": LIKE, "comments_count": COMMENT, "shares_count": SHARE, "views_count": VIEW}
    terms = [sa.cast(sa.func.coalesce(posts.c[name], 0), sa.Double) * weight for name, weight in weights.items()]
    days: sa.ColumnElement[float] = sa.func.date_part("day", sa.literal(as_of) - posts.c.created_at)
    tenths = sa.func.least(sa.func.greatest(DAYS - days, 1), DAYS)
    weighted: sa.ColumnElement[Any] = terms[0] + terms[1] + terms[2] + terms[3]
    return weighted * tenths / sa.cast(DAYS, sa.Double)


def score_range(
    posts: sa.Table, column: "sa.ColumnClause[Any] | None", as_of: datetime, keys: KeyRange, *, dry_run: bool
) -> "sa.Select[Any]":
    """One statement that brings the scores of a range of posts up to date. It says how many posts were ``scanned``,
    how many of our scores were missing or ``wrong`` and ``updated``, how many were of posts that are ``gone`` and
    ``removed``; and of ``column``, the backend's own for the score, how many were ``unfilled``, so empty or wrong, and
    ``filled``.
    """
    scored = materialized(_scored(posts, column, as_of, keys), "scored")
    differing = materialized(_differing(scored, keys), "differing")
    changed = sa.select(differing).where(differing.c.post_id.is_not(None)).cte("changed")
    gone = sa.select(differing.c.kept_id).where(differing.c.post_id.is_(None)).cte("gone")
    counts = {"scanned": scored, "wrong": changed, "updated": _write(changed, as_of)}
    counts |= {"gone": gone, "removed": _remove(gone, keys)}
    if column is not None:
        wrong, right = correction(posts, [column], scored, keys)
        counts |= {"unfilled": wrong, "filled": right}
    writes = {"updated", "removed", "filled"} if dry_run else set()
    return counted({name: None if name in writes else part for name, part in counts.items()})


def _scored(
    posts: sa.Table, column: "sa.ColumnClause[Any] | None", as_of: datetime, keys: KeyRange
) -> "sa.Select[Any]":
    """Each post of the range with its score; beside it, where the backend has a column for it, what that says and what
    it would say, in its own type.
    """
    now = score(posts, as_of)
    found: list[sa.ColumnElement[Any]] = [
        posts.c.id.label("id"),
        sa.cast(posts.c.id, sa.Text).label("post_id"),
        now.label("score"),
    ]
    if column is not None:
        found += [sa.column(column.name).label("was_0"), sa.cast(now, column.type).label("is_0")]
    return sa.select(*found).select_from(posts).where(keys.covers(posts.c.id))


def _differing(scored: sa.CTE, keys: KeyRange) -> "sa.Select[Any]":
    """What our table has otherwise than ``scored``: new and changed posts, and, without a ``post_id``, those that are
    gone.
    """
    table = post_engagement.c
    kept = sa.select(table.post_id, table.score).where(keys.covers_text(table.post_id)).subquery("kept")
    return (
        sa.select(scored.c.post_id, scored.c.score, kept.c.post_id.label("kept_id"))
        .join_from(scored, kept, kept.c.post_id == scored.c.post_id, full=True)
        .where(kept.c.score.is_distinct_from(scored.c.score))
    )


def _write(changed: sa.CTE, as_of: datetime) -> sa.CTE:
    rows = sa.select(changed.c.post_id, changed.c.score, sa.literal(as_of))
    statement = insert(post_engagement).from_select(["post_id", "score", "computed_at"], rows)
    new = {"score": statement.excluded.score, "computed_at": statement.excluded.computed_at}
    return (
        statement.on_conflict_do_update(index_elements=["post_id"], set_=new)
        .returning(sa.literal(1).label("one"))
        .cte("written")
    )


def _remove(gone: sa.CTE, keys: KeyRange) -> sa.CTE:
    return (
        sa.delete(post_engagement)
        .where(post_engagement.c.post_id == gone.c.kept_id, keys.covers_text(post_engagement.c.post_id))
        .returning(sa.literal(1).label("one"))
        .cte("removed_rows")
    )
