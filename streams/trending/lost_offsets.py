"""Until when answers lack what retention has taken of the offsets that are counted anew.

What a lost event said is not known. But the live counter has read it at some time, and no event counts that is further
ahead than ``FUTURE``: so it is not newer than that. That holds also where the live counts themselves are wrong.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.trending.counting import FUTURE
from streams.trending.store import Gap

MARGIN = FUTURE + timedelta(minutes=10)
"""Of the latter, a merged delta is as old as the oldest."""

FORGOTTEN = timedelta(days=1) - MARGIN
"""Of offsets whose deltas the live counts have forgotten no event is newer: deltas are kept for a day."""

# When the live counter has read these offsets: the next that it reads, the time of the latest delta among them, how
# many of them deltas still stand for, and until when gaps of its own hide something.
READ_AT = text("""
    SELECT source.next_offset,
           (SELECT max(until) FROM tailrace.trending_gaps AS gap
             WHERE gap.generation = source.generation AND gap.source = source.source
               AND gap.to_offset > :begin AND gap.from_offset < :end) AS hidden_until,
           max(delta.created_at) AS read_at,
           sum(least(delta.to_offset, :end) - greatest(delta.from_offset, :begin)) AS known
      FROM tailrace.trending_sources AS source
      LEFT JOIN tailrace.trending_deltas AS delta
        ON delta.generation = source.generation AND delta.source = source.source
       AND delta.to_offset > :begin AND delta.from_offset < :end
     WHERE source.generation = :live AND source.source = :source
     GROUP BY source.generation, source.source
""")


class LostOffsets:
    """Tells until when answers lack offsets. ``live``: the generation whose counter has read them."""

    def __init__(self, engine: AsyncEngine, live: int, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._live = live
        self._now = now

    async def before(self, source: str, log_start: int, since: datetime, *, begins_late: bool) -> datetime:
        """No event that counts is newer of those that lie before ``since``, or before the log, which does or does not
        begin later than that. Where it does not, what was before it was older still.
        """
        if not log_start:
            return since
        forgotten = self._now() - FORGOTTEN if begins_late else since
        return max(since, await self._hidden_until(source, 0, log_start, forgotten))

    async def meanwhile(self, source: str, begin: int, end: int) -> Gap:
        """Of the offsets [begin, end), which were there."""
        return Gap(source, begin, end, await self._hidden_until(source, begin, end, self._now() - FORGOTTEN))

    async def _hidden_until(self, source: str, begin: int, end: int, forgotten: datetime) -> datetime:
        """``forgotten`` is told of those that the live counts have forgotten."""
        async with self._engine.connect() as connection:
            values = {"live": self._live, "source": source, "begin": begin, "end": end}
            row = (await connection.execute(READ_AT, values)).first()
        if row is None or row.next_offset < end:
            return self._now()  # some of them the live counter has not read either
        found: list[datetime] = [row.hidden_until] if row.hidden_until else []
        found += [row.read_at + MARGIN] if row.read_at else []
        found += [forgotten] if (row.known or 0) < end - begin else []
        return min(max(found), self._now())
