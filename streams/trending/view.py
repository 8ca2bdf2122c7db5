"""The trending view: follows the stored deltas and answers from memory; any number of views agree."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.cancellation import is_cancelled
from streams.db import is_passing
from streams.metrics import Metrics
from streams.trending import view_sql as sql
from streams.trending.answers import STALE_AFTER, Answer, OneTag
from streams.trending.blocked import blocked_tags
from streams.trending.delta import Panes, in_parts, unpack
from streams.trending.hour_counts import HourCounts
from streams.trending.ranking import TREND_WINDOWS, Moment, Ranking
from streams.trending.sql import LIVE_GENERATION
from streams.trending.surprise import DAYS, Trend
from streams.trending.tops import Tops
from streams.trending.view_loading import load_hours, load_minutes
from streams.trending.windows import HOUR_WINDOWS, WINDOWS, HourWindows, MinuteWindows

POLL = timedelta(milliseconds=200)
NEVER = datetime.fromtimestamp(0, UTC)
HALF_LIFE = timedelta(hours=2)
STEP = 1000
"""Uses of tags that are added at once."""
BASELINE = timedelta(days=DAYS, hours=1)
"""How far before an hour its baseline reaches."""

log = structlog.get_logger(__name__)

__all__ = ["TREND_WINDOWS", "WINDOWS", "Answer", "OneTag", "View"]


@dataclass(frozen=True)
class Ranked:
    """The trends of each window, as they were worked out last."""

    moment: Moment
    trends: dict[str, list[Trend]]
    as_of: datetime | None


class View:
    """Exact counts of each window, at most a poll behind what is stored."""

    def __init__(
        self,
        engine: AsyncEngine,
        metrics: Metrics | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        half_life: timedelta = HALF_LIFE,
    ) -> None:
        self._engine = engine
        self._metrics = metrics
        self._now = now
        self._generation: int | None = None
        self._positions: dict[str, int] = {}
        self._minutes = MinuteWindows(self._minute())
        self._hours = HourWindows(0, {name: {} for name in HOUR_WINDOWS})
        self._counts = HourCounts()
        self.half_life = half_life
        """In which a peak loses half of its worth."""
        self._ranking = Ranking(self._counts, half_life)
        self._ranked: Ranked | None = None
        self._tops = Tops()
        self._changed = True
        self._hidden: frozenset[str] = frozenset()
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
        minute = self._minute()
        async with self._engine.connect() as connection:
            # One snapshot: what a source's next_offset says is there, is there.
            connection = await connection.execution_options(isolation_level="REPEATABLE READ")
            generation = (await connection.execute(LIVE_GENERATION)).scalar_one()
            if generation != self._generation or not await self._follow(connection, generation):
                await self._load(connection, generation, minute)
            if self._hours.now != minute // 60:
                await self._turn(connection, generation, minute // 60)
            until = (await connection.execute(sql.INCOMPLETE_UNTIL, {"generation": generation})).scalar_one()
            self._incomplete_until = until or NEVER
            self._hide(await blocked_tags(connection))
        self._minutes.advance(minute)
        await self._tops.prepare(self._minutes, self._hours, self._counted_until)
        await self._rank()
        if self._metrics and self._counted_until and self._counted_until > NEVER:
            self._metrics.view_lag.set((self._now() - self._counted_until).total_seconds())

    def top(self, window: str, limit: int) -> Answer:
        """The ``limit`` tags with the most uses in the window that ends now. Raises ``KeyError`` for a window
        that is not one of ``WINDOWS``.
        """
        self._minutes.advance(self._minute())
        top = self._tops.of(window, self._minutes, self._hours, self._counted_until)
        as_of, complete = self._freshness(top.as_of, top.start)
        return Answer(window, "count", as_of, complete, top.start, top.end, top.tags[:limit])

    def trending(self, window: str, limit: int) -> Answer:
        """The ``limit`` tags with the highest scores, as of the last round. Raises ``KeyError`` for a window that is
        not one of ``TREND_WINDOWS``.
        """
        ranked = self._ranked
        minute = ranked.moment.minute if ranked else self._minute()
        end = _instant((minute + 1) * 60)
        start = end - timedelta(hours=TREND_WINDOWS[window])
        trends = ranked.trends[window][:limit] if ranked else []
        as_of, complete = self._freshness(ranked.as_of if ranked else None, start - BASELINE)
        tags = [(trend.tag, trend.uses) for trend in trends]
        return Answer(window, "trending", as_of, complete, start, end, tags, trends, self.half_life)

    @property
    def generation(self) -> int | None:
        """The generation of counts that it follows; None before its first round."""
        return self._generation

    @property
    def counted_until(self) -> datetime | None:
        """Every event that the log held at that instant is counted; None before the first count."""
        return self._counted_until

    def tag(self, tag: str) -> OneTag | None:
        """Everything that is known of one tag; None where it is blocked."""
        if tag in self._hidden:
            return None
        self._minutes.advance(self._minute())
        totals = {**self._minutes.totals, **self._hours.totals}
        moment = self._moment() if self._minutes.now // 60 == self._hours.now else None
        trends = {name: self._ranking.trend(tag, moment, name) if moment else None for name in TREND_WINDOWS}
        as_of, complete = self._freshness(self._counted_until, _instant(self._minutes.now * 60) - BASELINE)
        uses = {window: totals[window].get(tag, 0) for window in WINDOWS}
        return OneTag(tag, as_of, complete, uses, trends, self._counts.history(tag))

    def _freshness(self, as_of: datetime | None, start: datetime) -> tuple[datetime | None, bool]:
        """How new counts are, and whether all events since ``start`` are in them."""
        fresh = as_of is not None and self._now() - as_of <= STALE_AFTER
        return None if as_of == NEVER else as_of, fresh and self._incomplete_until < start

    def problem(self) -> str | None:
        """For health: why answers are not up to date."""
        if self._counted_until in (None, NEVER):
            return "nothing has been counted yet: is a worker running?"
        behind = self._now() - self._counted_until
        if behind > 3 * STALE_AFTER:
            return f"counts are {behind.total_seconds():.0f} s old: is a worker running, and the broker reachable?"
        return None

    async def _load(self, connection: AsyncConnection, generation: int, minute: int) -> None:
        """Begin anew from every delta that a window of minutes can reach, and from the hours."""
        minutes = await load_minutes(connection, generation, minute)
        sources = (await connection.execute(sql.SOURCES, {"generation": generation})).all()
        self._counts = HourCounts()
        self._ranking = Ranking(self._counts, self.half_life)
        await self._turn(connection, generation, minute // 60)
        self._generation, self._minutes = generation, minutes
        self._minutes.hide(self._hidden)
        self._positions = {row.source: row.next_offset for row in sources}
        self._counted_until = min((row.counted_until for row in sources), default=None)

    async def _turn(self, connection: AsyncConnection, generation: int, hour: int) -> None:
        """Let ``hour`` be the present one."""
        self._hours, read = await load_hours(connection, generation, hour, self._counts.missing(hour))
        self._hours.hide(self._hidden)
        self._counts.turn(hour, read)
        self._changed = True

    def _hide(self, tags: frozenset[str]) -> None:
        if tags != self._hidden:
            self._hidden = tags
            self._minutes.hide(tags)
            self._hours.hide(tags)
            self._changed = True

    async def _rank(self) -> None:
        """Work out what trends, where something has changed. In steps: if the minute turns meanwhile, the next round
        does it.
        """
        minute = self._minutes.now
        if minute // 60 != self._hours.now:
            return
        if self._ranked and self._ranked.moment.minute == minute and not self._changed:
            self._ranked = replace(self._ranked, as_of=self._counted_until)
            return
        moment = self._moment()
        trends = await self._ranking.trends(moment, self._hidden)
        if self._minutes.now == minute:
            self._ranked = Ranked(moment, trends, self._counted_until)
            self._changed = False

    def _moment(self) -> Moment:
        """The last 60 minutes. At the end of an hour they are that hour, which is kept for longer than minutes are."""
        minute = self._minutes.now
        hour_is_full = minute % 60 == 59
        present = self._counts.observed[minute // 60] if hour_is_full else self._minutes.totals["1h"]
        totals = {**self._minutes.totals, **self._hours.totals}
        return Moment(minute, present, {window: totals[window] for window in TREND_WINDOWS} | {"1h": present})

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
                await self._take(unpack(row.body, row.format).panes)
                self._positions[row.source] = row.to_offset
        if any(self._positions[row.source] != row.next_offset for row in sources):
            return False
        self._counted_until = min((row.counted_until for row in sources), default=None)
        return True

    async def _take(self, panes: Panes) -> None:
        """Add these uses, in steps that hold no query up. Half of them would be counted twice: then begin anew."""
        self._changed = True
        try:
            for part in in_parts(panes, STEP):
                self._minutes.add(part)
                self._hours.add(part)
                self._counts.add(part)
                await asyncio.sleep(0)
        except BaseException:
            self._generation = None
            raise

    def _minute(self) -> int:
        return int(self._now().timestamp()) // 60


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
