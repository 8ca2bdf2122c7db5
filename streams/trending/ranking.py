"""``rank=trending``: the tags whose uses are most surprising, now or in an hour that ended within the window.

Of each hour the most surprising tags are worked out once and again only when a late event has changed it, and the
present hour in short steps, so that a query never waits for it.
"""

import asyncio
import heapq
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import NamedTuple

from streams.trending.hour_counts import HourCounts, Uses
from streams.trending.surprise import DAYS, LEAST, Trend, baseline, faded, surprise

TREND_WINDOWS = {"1h": 1, "6h": 6, "24h": 24}
"""Window -> how many full hours back a peak is remembered. Shorter windows have no hour to compare, and of a longer
one nothing would be left.
"""

MAX_TRENDS = 200
STEP = 2000
HOUR = 3600
NOTHING: Uses = {}

Parts = tuple[tuple[float, Uses], tuple[float, Uses]]
"""Two hours of the clock: the share of each, and what was before it."""


class Peak(NamedTuple):
    """A tag's surprise in one hour."""

    tag: str
    observed: int
    baseline: float
    surprise: float


class Moment(NamedTuple):
    """What is ranked: the hour that ends with ``minute``, the uses in it, and those in each window."""

    minute: int
    present: Uses
    windows: Mapping[str, Uses]

    @property
    def hour(self) -> int:
        return self.minute // 60


class Ranking:
    """The surprises of ``counts``, which somebody else keeps."""

    def __init__(self, counts: HourCounts, half_life: timedelta) -> None:
        self._counts = counts
        self._half_life = half_life.total_seconds()
        self._full: dict[int, list[Peak]] = {}
        self._hidden: Collection[str] = frozenset()

    async def trends(self, moment: Moment, hidden: Collection[str]) -> dict[str, list[Trend]]:
        """At most ``MAX_TRENDS`` of each window, the highest score first; of equal ones the first by name."""
        self._forget(moment.hour, hidden)
        best: dict[str, Trend] = {}
        for peak in await _strongest(moment.present, self._parts(moment.minute), hidden):
            best[peak.tag] = self._trend(peak, 0)
        ranked: dict[str, list[Trend]] = {}
        for back in range(1, max(TREND_WINDOWS.values()) + 1):
            hour, age = moment.hour - back, self._age(moment.minute, moment.hour - back)
            for peak in await self._of_full_hour(hour):
                trend = self._trend(peak, age)
                if peak.tag not in best or trend.score > best[peak.tag].score:
                    best[peak.tag] = trend
            for window, hours in TREND_WINDOWS.items():
                if hours == back:
                    ranked[window] = _top(best.values(), moment.windows[window])
        return ranked

    def trend(self, tag: str, moment: Moment, window: str) -> Trend | None:
        """Of any tag, however low; None where it does not trend in the window."""
        first, second = self._parts(moment.minute)
        expected = baseline(first[0] * first[1].get(tag, 0) + second[0] * second[1].get(tag, 0))
        peaks = [(_peak(tag, moment.present.get(tag, 0), expected), 0)]
        for back in range(1, TREND_WINDOWS[window] + 1):
            hour = moment.hour - back
            uses, before = self._counts.observed.get(hour, NOTHING), self._counts.before.get(hour, NOTHING)
            peak = _peak(tag, uses.get(tag, 0), baseline(before.get(tag, 0)))
            peaks.append((peak, self._age(moment.minute, hour)))
        trends = [self._trend(peak, age) for peak, age in peaks if peak.surprise > 0]
        best = max(trends, key=lambda trend: trend.score, default=None)
        return best and _with_uses(best, moment.windows[window])

    def _forget(self, hour: int, hidden: Collection[str]) -> None:
        if hidden != self._hidden:
            self._full.clear()
            self._hidden = hidden
        for touched in self._counts.touched:
            self._full.pop(touched, None)
        self._counts.touched.clear()
        for old in [old for old in self._full if old not in self._counts.observed or old >= hour]:
            del self._full[old]

    async def _of_full_hour(self, hour: int) -> list[Peak]:
        if hour not in self._full:
            before = self._counts.before.get(hour, NOTHING)
            observed = self._counts.observed.get(hour, NOTHING)
            self._full[hour] = await _strongest(observed, ((1.0, before), (0.0, NOTHING)), self._hidden)
        return self._full[hour]

    def _parts(self, minute: int) -> Parts:
        """The two hours of the clock that the last 60 minutes lie in, by their share."""
        hour, share = minute // 60, (minute % 60 + 1) / 60
        before = self._counts.before
        return (share, before.get(hour, NOTHING)), (1 - share, before.get(hour - 1, NOTHING))

    def _age(self, minute: int, hour: int) -> int:
        """Seconds from the end of the hour to the end of the minute."""
        return (minute + 1) * 60 - (hour + 1) * HOUR

    def _trend(self, peak: Peak, age: int) -> Trend:
        score = faded(peak.surprise, age, self._half_life)
        return Trend(peak.tag, 0, peak.observed, peak.baseline, peak.surprise, age, score)


def _peak(tag: str, observed: int, expected: float) -> Peak:
    return Peak(tag, observed, expected, surprise(observed, expected))


async def _strongest(observed: Uses, parts: Parts, hidden: Collection[str]) -> list[Peak]:
    """The most surprising tags of one hour. Others get their turn every ``STEP`` tags."""
    loud = [item for item in observed.items() if item[1] >= LEAST]
    (share, before), (other_share, before_other) = parts
    found: list[Peak] = []
    for start in range(0, len(loud), STEP):
        for tag, uses in loud[start : start + STEP]:
            expected = max(1.0, (share * before.get(tag, 0) + other_share * before_other.get(tag, 0)) / DAYS)
            if uses > expected and tag not in hidden:
                found.append(Peak(tag, uses, expected, (uses - expected) ** 2 / expected))
        await asyncio.sleep(0)
    if len(found) > MAX_TRENDS:
        least = heapq.nlargest(MAX_TRENDS, (peak.surprise for peak in found))[-1]
        found = [peak for peak in found if peak.surprise >= least]
    return sorted(found, key=lambda peak: (-peak.surprise, peak.tag))[:MAX_TRENDS]


def _top(trends: Collection[Trend], uses: Uses) -> list[Trend]:
    chosen = heapq.nsmallest(MAX_TRENDS, trends, key=lambda trend: (-trend.score, trend.tag))
    return [_with_uses(trend, uses) for trend in chosen]


def _with_uses(trend: Trend, uses: Uses) -> Trend:
    return Trend(trend.tag, uses.get(trend.tag, 0), trend.observed, trend.baseline, trend.peak, trend.age, trend.score)
