"""The trending view: follows the stored deltas and answers from memory; any number of views agree."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.cancellation import is_cancelled
from streams.db import is_passing
from streams.metrics import Metrics
from streams.trending import view_sql as sql
from streams.trending.delta import unpack
from streams.trending.sql import LIVE_GENERATION
from streams.trending.windows import HOUR_WINDOWS, LONGEST, MINUTE_WINDOWS, WINDOWS, HourWindows, MinuteWindows

POLL = timedelta(milliseconds=200)
STALE_AFTER = timedelta(seconds=5)
NEVER = datetime.fromtimestamp(0, UTC)

log = structlog.get_logger(__name__)

__all__ = ["WINDOWS", "Answer", "View"]


@dataclass(frozen=True)
class Answer:
    """The top tags of the event times [start, end).

    ``as_of``: every event that the log held at that instant is counted; None before the first count.
    ``complete``: that is at most ``STALE_AFTER`` ago, and no event of the window was lost to retention.
    """

    window: str
    rank: str
    as_of: datetime | None
    complete: bool
    start: datetime
    end: datetime
    tags: list[tuple[str, int]]


class View:
    """Exact counts of each window, at most a poll behind what is stored."""

    def __init__(
        self, engine: AsyncEngine, metrics: Metrics, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._engine = engine
        self._metrics = metrics
        self._now = now
        self._generation: int | None = None
        self._positions: dict[str, int] = {}
        self._minutes = MinuteWindows(self._minute())
        self._hours = HourWindows(0, {name: {} for name in HOUR_WINDOWS})
        self._counted_until: datetime | None = None
        self._incomplete_until = NEVER

    async def run(self) -> None:
        """Follow for ever; the database being away only makes answers older."""
        while True:
            try:
                await self.refresh()
            except Exception as error:
                if is_cancelled() or not is_passing(error):
                    raise
                log.warning("view waits for the database", error=repr(error))
            await asyncio.sleep(POLL.total_seconds())

    async def refresh(self) -> None:
        """Take in what has been stored since the last time."""
        async with self._engine.connect() as connection:
            # One snapshot: what a source's next_offset says is there, is there.
            connection = await connection.execution_options(isolation_level="REPEATABLE READ")
            generation = (await connection.execute(LIVE_GENERATION)).scalar_one()
            if generation != self._generation or not await self._follow(connection, generation):
                await self._load(connection, generation)
            if self._hours.now != self._minute() // 60:
                self._hours = await self._load_hours(connection, generation, self._minute() // 60)
            self._minutes.advance(self._minute())
            until = (await connection.execute(sql.INCOMPLETE_UNTIL, {"generation": generation})).scalar_one()
            self._incomplete_until = until or NEVER
        if self._counted_until and self._counted_until > NEVER:
            self._metrics.view_lag.set((self._now() - self._counted_until).total_seconds())

    def top(self, window: str, limit: int, rank: str = "count") -> Answer:
        """The ``limit`` tags with the most uses in the window that ends now. Raises ``KeyError`` for a window
        that is not one of ``WINDOWS``.
        """
        self._minutes.advance(self._minute())
        windows, unit = (self._minutes, 60) if window in MINUTE_WINDOWS else (self._hours, 3600)
        first, last = windows.span(window)
        start, end = _instant(first * unit), _instant((last + 1) * unit)
        fresh = self._counted_until is not None and self._now() - self._counted_until <= STALE_AFTER
        complete = fresh and self._incomplete_until < start
        as_of = None if self._counted_until == NEVER else self._counted_until
        return Answer(window, rank, as_of, complete, start, end, windows.top(window, limit))

    def problem(self) -> str | None:
        """For health: why answers are not up to date."""
        if self._counted_until in (None, NEVER):
            return "nothing has been counted yet: is a worker running?"
        behind = self._now() - self._counted_until
        if behind > 3 * STALE_AFTER:
            return f"counts are {behind.total_seconds():.0f} s old: is a worker running, and the broker reachable?"
        return None

    async def _load(self, connection: AsyncConnection, generation: int) -> None:
        """Begin anew from every delta that a window of minutes can reach, and from the hours."""
        minutes = MinuteWindows(self._minute())
        oldest = {"generation": generation, "oldest_minute": minutes.now - LONGEST + 1}
        for row in await connection.execute(sql.DELTAS_SINCE_MINUTE, oldest):
            minutes.add(unpack(row.body, row.format).panes)
        sources = (await connection.execute(sql.SOURCES, {"generation": generation})).all()
        self._hours = await self._load_hours(connection, generation, minutes.now // 60)
        self._generation, self._minutes = generation, minutes
        self._positions = {row.source: row.next_offset for row in sources}
        self._counted_until = min((row.counted_until for row in sources), default=None)

    async def _load_hours(self, connection: AsyncConnection, generation: int, hour: int) -> HourWindows:
        """The long windows that end with this hour: what is archived, and the deltas that are not."""
        totals = {}
        for window, length in HOUR_WINDOWS.items():
            span = {"generation": generation, "first": hour - length + 1, "last": hour}
            totals[window] = {row.tag: row.uses for row in await connection.execute(sql.HOUR_TOTALS, span)}
        hours = HourWindows(hour, totals)
        for row in await connection.execute(sql.UNARCHIVED, {"generation": generation}):
            hours.add(unpack(row.body, row.format).panes)
        return hours

    async def _follow(self, connection: AsyncConnection, generation: int) -> bool:
        """Add what is new. False where rows are missing at our position: they have been merged past it."""
        sources = (await connection.execute(sql.SOURCES, {"generation": generation})).all()
        behind = {row.source for row in sources if self._positions.setdefault(row.source, 0) < row.next_offset}
        if behind:
            positions = {source: self._positions[source] for source in behind}
            columns = {"sources": list(positions), "positions": list(positions.values()), "generation": generation}
            for row in (await connection.execute(sql.DELTAS_SINCE_OFFSET, columns)).all():
                if row.from_offset != self._positions[row.source]:
                    return False
                panes = unpack(row.body, row.format).panes
                self._minutes.add(panes)
                self._hours.add(panes)
                self._positions[row.source] = row.to_offset
        if any(self._positions[row.source] != row.next_offset for row in sources):
            return False
        self._counted_until = min((row.counted_until for row in sources), default=None)
        return True

    def _minute(self) -> int:
        return int(self._now().timestamp()) // 60


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
