"""The snapshots that are kept, for people and programs."""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.envelope import rfc3339

# The latest hours, with what was on top.
LATEST = text("""
    SELECT h.as_of, h.complete, h.tags, h.taken_at,
           ARRAY(SELECT s.tag FROM tailrace.trending_snapshots AS s
                  WHERE s.as_of = h.as_of AND s.rank <= 3 ORDER BY s.rank) AS top
      FROM tailrace.trending_snapshot_hours AS h
     ORDER BY h.as_of DESC LIMIT :limit
""")

# One hour, and its list.
HOUR = text("""
    SELECT as_of, complete, counted_until, taken_at FROM tailrace.trending_snapshot_hours WHERE as_of = :as_of
""")
LIST = text("""
    SELECT rank, tag, uses, observed, baseline, peak, age_s, score FROM tailrace.trending_snapshots
     WHERE as_of = :as_of ORDER BY rank
""")


class NoSnapshot(Exception):
    """The hour has none."""


async def latest_hours(engine: AsyncEngine, limit: int) -> list[dict[str, Any]]:
    """The newest hour first."""
    async with engine.connect() as connection:
        return [dict(row) for row in (await connection.execute(LATEST, {"limit": limit})).mappings()]


async def one_hour(engine: AsyncEngine, as_of: datetime) -> dict[str, Any]:
    """What trended in the hour that ended then. Raises ``NoSnapshot``, which says how to take it."""
    async with engine.connect() as connection:
        hour = (await connection.execute(HOUR, {"as_of": as_of})).mappings().first()
        if hour is None:
            instant = rfc3339(as_of)
            raise NoSnapshot(
                f"there is no snapshot of {instant}; `tailrace trends snapshots` lists those there are, and "
                f"""`tailrace run update_trending_hashtags --args '{{"hour": "{instant}"}}'` takes it"""
            )
        lines = (await connection.execute(LIST, {"as_of": as_of})).mappings()
        return {**hour, "tags": [dict(line) for line in lines]}
