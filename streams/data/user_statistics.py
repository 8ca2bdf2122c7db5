"""The counters of users, counted again from the rows that they count."""

from typing import Any

import sqlalchemy as sa

from streams.backend_presence import Presence
from streams.data.corrections import correction, counted, materialized
from streams.data.key_range import KeyRange

Counted = dict["sa.Column[Any]", "sa.Column[Any]"]


def counters_of(presence: Presence) -> Counted:
    """For each counter the column that names the user in the rows that it counts; those of tables that are there."""
    backend = presence.backend
    known: Counted = {
        backend.users.c.followers_count: backend.follows.c.following_id,
        backend.users.c.following_count: backend.follows.c.follower_id,
        backend.users.c.posts_count: backend.posts.c.author_id,
    }
    return {counter: of for counter, of in known.items() if presence.has(of.table)}


def correct_range(users: sa.Table, counters: Counted, keys: KeyRange, *, dry_run: bool) -> "sa.Select[Any]":
    """One statement: the users of the range that are ``scanned``, those that are ``wrong`` and those ``updated``."""
    truth = materialized(_truth(users, counters, keys), "truth")
    wrong, right = correction(users, list(counters), truth, keys)
    return counted({"scanned": truth, "wrong": wrong, "updated": None if dry_run else right})


def _truth(users: sa.Table, counters: Counted, keys: KeyRange) -> "sa.Select[Any]":
    """Counters as they are and as they should be. Each is counted by the index of its foreign key."""
    columns: list[sa.ColumnElement[Any]] = [users.c.id.label("id")]
    source: sa.FromClause = users
    for number, (counter, of) in enumerate(counters.items()):
        found = (
            sa.select(of.label("id"), sa.func.count().label("rows"))
            .where(keys.covers(of))
            .group_by(of)
            .subquery(f"counted_{number}")
        )
        source = source.outerjoin(found, found.c.id == users.c.id)
        columns += [counter.label(f"was_{number}"), sa.func.coalesce(found.c.rows, 0).label(f"is_{number}")]
    return sa.select(*columns).select_from(source).where(keys.covers(users.c.id))
