"""The backend's own columns for trends, ``hashtags.is_trending`` and ``hashtags.trending_score``, where it has them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.backend import BackendTables
from streams.backend_presence import look_at
from streams.data.optional_column import column_as_it_is

EMPTY: dict[str, "sa.ColumnElement[Any]"] = {"is_trending": sa.false(), "trending_score": sa.literal(0)}
"""What each column says of a hashtag that does not trend."""

ROUNDS = 5
BETWEEN_ROUNDS = 0.05
"""Seconds. Hashtags that trend are those that the backend writes most: a moment later they are free."""


@dataclass(frozen=True)
class Flags:
    """Those of the columns that are there, by logical name, in the types that the backend gave them."""

    hashtags: sa.Table
    columns: Mapping[str, "sa.ColumnClause[Any]"]

    async def fill(self, connection: AsyncConnection, scores: Mapping[str, float]) -> dict[str, int]:
        """Mark the hashtags that trend with their score, and clear those that do not any more.

        ``marked``: rows that were changed; others are not written. ``locked``: rows that the backend held all the time.
        It is never made to wait for its own rows in turn, so that no deadlock can have this transaction in it.
        """
        marked = left = 0
        for round_ in range(ROUNDS if self.columns else 0):
            if round_:
                await asyncio.sleep(BETWEEN_ROUNDS)
            marked += (await connection.execute(self._update(scores))).rowcount
            differing = self._differing(scores).subquery()
            left = (await connection.execute(sa.select(sa.func.count()).select_from(differing))).scalar_one()
            if not left:
                break
        return {"marked": marked, "locked": left}

    def _update(self, scores: Mapping[str, float]) -> "sa.Update":
        rows = self._rows()
        free = self._differing(scores, lock=True).cte("free").prefix_with("MATERIALIZED")
        values = {rows.c[column.name]: free.c[name] for name, column in self.columns.items()}
        return sa.update(rows).values(values).where(rows.c[self.hashtags.c.id.name] == free.c.id)

    def _differing(self, scores: Mapping[str, float], *, lock: bool = False) -> "sa.Select[Any]":
        """The rows that say something else than ``scores``, and what they should say."""
        tags = sa.literal([*scores], ARRAY(sa.Text))
        numbers = sa.literal([*scores.values()], ARRAY(sa.Double))
        listed = sa.func.unnest(tags, numbers).table_valued("tag", "score", name="listed").render_derived()
        wanted: dict[str, sa.ColumnElement[Any]] = {
            "is_trending": listed.c.tag.is_not(None),
            "trending_score": sa.func.coalesce(listed.c.score, 0),
        }
        rows = self._rows().alias("h")
        new = {name: sa.cast(wanted[name], column.type) for name, column in self.columns.items()}
        # A null says the same as false and 0: the hashtag has never trended.
        old = {name: sa.func.coalesce(rows.c[c.name], sa.cast(EMPTY[name], c.type)) for name, c in self.columns.items()}
        query = (
            sa.select(rows.c[self.hashtags.c.id.name].label("id"), *(value.label(name) for name, value in new.items()))
            .select_from(rows.outerjoin(listed, folded(rows.c[self.hashtags.c.name.name]) == listed.c.tag))
            .where(sa.or_(*(new[name].is_distinct_from(old[name]) for name in self.columns)))
        )
        return query.with_for_update(key_share=True, skip_locked=True, of=rows) if lock else query

    def _rows(self) -> sa.TableClause:
        """The table under its real names, with the columns that there are."""
        known = (sa.column(column.name, column.type) for column in (self.hashtags.c.id, self.hashtags.c.name))
        found = (sa.column(column.name, column.type) for column in self.columns.values())
        return sa.table(self.hashtags.name, *known, *found, schema=self.hashtags.schema)


async def flags_of(engine: AsyncEngine, backend: BackendTables) -> Flags:
    """Which of the columns this backend has."""
    async with engine.connect() as connection:
        presence = await look_at(connection, backend)
    found: dict[str, sa.ColumnClause[Any]] = {}
    if not {"id", "name"} & set(presence.missing_columns(backend.hashtags)):
        for name in EMPTY:
            column = await column_as_it_is(engine, presence, f"hashtags.{name}")
            if column is not None:
                found[name] = column
    return Flags(backend.hashtags, found)


def folded(name: "sa.ColumnElement[str]") -> "sa.ColumnElement[str]":
    """The name of a hashtag as trends count it: NFKC, without ``#``, whatever its case."""
    low = sa.func.lower(sa.func.normalize(name, sa.text("NFKC")))
    return sa.func.translate(sa.func.replace(sa.func.ltrim(low, "# "), "ß", "ss"), "ς", "σ")
