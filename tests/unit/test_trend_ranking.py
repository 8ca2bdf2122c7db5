"""``rank=trending`` against a plain reference, and each part of its rule by example."""

import asyncio
from collections.abc import Collection
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.trending.delta import Panes
from streams.trending.hour_counts import HourCounts, Uses, kept_hours
from streams.trending.ranking import MAX_TRENDS, TREND_WINDOWS, Moment, Ranking
from streams.trending.surprise import Trend
from tests.trend_reference import Expected, trends

HOUR = 480_000
HALF_LIFE = timedelta(hours=2)

minutes = st.builds(
    lambda back, minute: (HOUR - back) * 60 + minute,
    st.one_of(st.integers(0, 26), st.integers(1, 8).map(lambda day: 24 * day), st.integers(24, 200)),
    st.integers(0, 59),
)
panes = st.dictionaries(minutes, st.dictionaries(st.sampled_from("abcd"), st.integers(1, 40), min_size=1), max_size=6)


class Counted:
    """Counts of everything that has been added, and their ranking."""

    def __init__(self, hour: int = HOUR) -> None:
        self.panes: dict[int, Uses] = {}
        self.counts = HourCounts()
        self.ranking = Ranking(self.counts, HALF_LIFE)
        self.turn(hour)

    def add(self, added: Panes) -> None:
        self.counts.add(added)
        for minute, tags in added.items():
            pane = self.panes.setdefault(minute, {})
            for tag, uses in tags.items():
                pane[tag] = pane.get(tag, 0) + uses

    def turn(self, hour: int) -> None:
        """As a view does it: the missing hours are read from what is stored."""
        missing = self.counts.missing(hour)
        read = HourCounts({hour: {} for hour in missing}, {hour: {} for hour in missing})
        read.add(self.panes)
        self.counts.turn(hour, read)

    def moment(self, minute: int) -> Moment:
        window = {"1h": minute - 59, "6h": minute - 359, "24h": (minute // 60 - 23) * 60}
        totals = {name: self._total(first, minute) for name, first in window.items()}
        return Moment(minute, totals["1h"], totals)

    def ranked(self, minute: int, hidden: Collection[str] = ()) -> dict[str, list[Trend]]:
        return asyncio.run(self.ranking.trends(self.moment(minute), hidden))

    def _total(self, first: int, last: int) -> Uses:
        total: Uses = {}
        for minute, tags in self.panes.items():
            for tag, uses in tags.items() if first <= minute <= last else ():
                total[tag] = total.get(tag, 0) + uses
        return total


def scores(found: list[Trend] | list[Expected]) -> dict[str, tuple[object, ...]]:
    return {trend.tag: (trend.uses, pytest.approx(trend.score)) for trend in found}


def is_explained(trend: Trend) -> bool:
    peak = (trend.observed - trend.baseline) ** 2 / trend.baseline
    return trend.peak == pytest.approx(peak) and trend.score == pytest.approx(peak / 2 ** (trend.age / 7200))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(panes, st.integers(0, 90)), min_size=1, max_size=4))
def test_late_and_new_uses_give_what_a_count_from_the_start_gives(steps: list[tuple[Panes, int]]) -> None:
    counted, minute = Counted(), HOUR * 60
    for added, passed in steps:
        counted.add(added)
        minute += passed
        counted.turn(minute // 60)

        ranked = counted.ranked(minute)

        for window, hours in TREND_WINDOWS.items():
            wanted = trends(counted.panes, minute, hours, HALF_LIFE)
            assert scores(ranked[window]) == scores(wanted)
            assert all(map(is_explained, ranked[window]))
            assert ranked[window] == sorted(ranked[window], key=lambda trend: (-trend.score, trend.tag))
            single = [counted.ranking.trend(trend.tag, counted.moment(minute), window) for trend in ranked[window]]
            assert single == ranked[window]


def test_the_surprise_is_over_the_mean_of_the_same_hour_of_seven_days() -> None:
    counted = Counted()
    counted.add({(HOUR - 24 * day) * 60: {"a": 2 * day} for day in range(1, 8)})
    counted.add({HOUR * 60 + 10: {"a": 20, "few": 4, "new": 5}})

    a, new = counted.ranked(HOUR * 60 + 59)["1h"]

    assert (a.tag, a.observed, a.baseline, a.peak, a.age) == ("a", 20, 8.0, 18.0, 0)
    assert (new.tag, new.baseline, new.score) == ("new", 1.0, 16.0)


def test_a_peak_is_worth_half_after_each_half_life_and_is_forgotten_beyond_the_window() -> None:
    counted = Counted()
    counted.add({(HOUR - 4) * 60: {"a": 33}})

    ranked = counted.ranked(HOUR * 60 + 59)

    (a,) = ranked["6h"]
    assert (a.uses, a.observed, a.peak, a.age, a.score) == (33, 33, 1024.0, 4 * 3600, 256.0)
    assert ranked["1h"] == []


def test_what_is_used_as_on_other_days_does_not_trend_however_much_it_is_used() -> None:
    counted = Counted()
    counted.add({(HOUR - 24 * day) * 60: {"daily": 500} for day in range(10)})

    assert counted.ranked(HOUR * 60 + 59)["24h"] == []


def test_a_hidden_tag_leaves_its_place_to_the_next() -> None:
    counted = Counted()
    counted.add({HOUR * 60: {f"t{number:03d}": 1000 - number for number in range(MAX_TRENDS + 2)}})
    everything = [trend.tag for trend in counted.ranked(HOUR * 60)["1h"]]

    without = [trend.tag for trend in counted.ranked(HOUR * 60, frozenset({"t000"}))["1h"]]

    assert everything[:2] == ["t000", "t001"]
    assert (without[0], without[-1], len(without)) == ("t001", f"t{MAX_TRENDS:03d}", MAX_TRENDS)


def test_hours_that_nothing_reaches_are_forgotten() -> None:
    counted = Counted()
    counted.add({HOUR * 60: {"a": 9}})

    counted.turn(HOUR + 30)

    assert set(counted.counts.observed) == set(counted.counts.before) == set(kept_hours(HOUR + 30))
    assert counted.ranked((HOUR + 30) * 60 + 5)["24h"] == []
