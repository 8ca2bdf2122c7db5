"""The view's trends and blocked tags on real tables: they equal a count from the start, whoever has read what when."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas import tables
from streams.trending import blocked
from streams.trending.archive import archive
from streams.trending.delta import Panes
from streams.trending.ranking import TREND_WINDOWS
from streams.trending.view import HALF_LIFE, View
from tests.trend_reference import trends
from tests.trending import Stored

START = datetime.now(UTC).replace(hour=11, minute=40, second=0, microsecond=0) - timedelta(days=1)


class Clock:
    """Time that a test turns."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def some_panes(rng: random.Random, now: datetime) -> Panes:
    """Uses of the last hours, of the same hours on other days, and of any time of the last 8 days."""
    minute = int(now.timestamp()) // 60
    panes: dict[int, dict[str, int]] = {}
    for _ in range(30):
        back = rng.choice([0, 0, rng.randrange(25), 24 * rng.randrange(1, 8), rng.randrange(190)])
        pane = panes.setdefault(minute - back * 60 - rng.randrange(60), {})
        tag = rng.choice("abcdefgh")
        pane[tag] = pane.get(tag, 0) + rng.randrange(1, 30)
    return panes


async def test_trends_equal_a_count_from_the_start_for_a_view_that_followed_and_for_a_new_one(
    engine: AsyncEngine,
) -> None:
    rng, clock, stored = random.Random(5), Clock(), Stored(engine)
    following = View(engine, now=clock)
    for turn in range(8):
        await stored.add(some_panes(rng, clock.now), counted_until=clock.now)
        if turn % 3 == 1:
            await archive(engine, 1, timedelta(0), block=1000)
        await following.refresh()
        new = View(engine, now=clock)
        await new.refresh()

        minute = int(clock.now.timestamp()) // 60
        for window, hours in TREND_WINDOWS.items():
            wanted = trends(stored.panes, minute, hours, HALF_LIFE)
            for view in (following, new):
                answer = view.trending(window, 100)
                assert [(t.tag, t.uses, t.observed, t.age) for t in answer.trends] == [
                    (t.tag, t.uses, t.observed, t.age) for t in wanted
                ]
                assert [t.score for t in answer.trends] == pytest.approx([t.score for t in wanted])
                assert answer.complete
        clock.now += rng.choice([timedelta(minutes=7), timedelta(minutes=25), timedelta(hours=3)])


async def test_one_tag_tells_its_uses_in_each_window_and_its_hours(engine: AsyncEngine) -> None:
    clock, stored = Clock(), Stored(engine)
    minute = int(START.timestamp()) // 60
    await stored.add({minute: {"a": 9, "b": 1}, minute - 60 * 30: {"a": 4}}, counted_until=START)
    view = View(engine, now=clock)
    await view.refresh()

    known = view.tag("a")

    assert known is not None
    assert known.uses == {"5m": 9, "15m": 9, "1h": 9, "6h": 9, "24h": 9, "7d": 13}
    assert known.trends["1h"] == view.trending("1h", 1).trends[0]
    assert known.hours[minute // 60] == 9
    assert sum(known.hours.values()) == 9


async def test_a_gap_in_the_days_of_the_baseline_makes_trends_incomplete_and_counts_not(engine: AsyncEngine) -> None:
    stored = Stored(engine)
    await stored.add({int(START.timestamp()) // 60: {"a": 9}}, counted_until=START)
    gap = {"generation": 1, "source": "post.uploaded:0", "from_offset": 0, "to_offset": 1}
    async with engine.begin() as connection:
        values = {**gap, "until": START - timedelta(days=3)}
        await connection.execute(tables.trending_gaps.insert().values(**values))
    view = View(engine, now=Clock())

    await view.refresh()

    assert view.top("1h", 1).complete
    assert not view.trending("1h", 1).complete


async def test_a_blocked_tag_shows_nowhere_from_the_next_round_on_until_it_is_unblocked(engine: AsyncEngine) -> None:
    stored, view = Stored(engine), View(engine, now=Clock())
    minute = int(START.timestamp()) // 60
    await stored.add({minute: {"bad": 50, "good": 9}}, counted_until=START)
    await view.refresh()
    before = [view.top("1h", 1).tags, view.top("24h", 1).tags, view.trending("1h", 1).tags]

    async with engine.begin() as connection:
        await blocked.block(connection, "bad", "spam")
    await view.refresh()

    assert before == [[("bad", 50)]] * 3
    assert [view.top(window, 9).tags for window in ("1h", "24h")] == [[("good", 9)]] * 2
    assert view.trending("1h", 9).tags == [("good", 9)]
    assert view.tag("bad") is None
    async with engine.begin() as connection:
        assert await blocked.unblock(connection, "bad")
        assert not await blocked.unblock(connection, "bad")
    await view.refresh()
    assert view.top("1h", 1).tags == [("bad", 50)]


async def test_a_swap_of_generations_gives_the_trends_of_the_new_one(engine: AsyncEngine) -> None:
    minute, view = int(START.timestamp()) // 60, View(engine, now=Clock())
    await Stored(engine).add({minute: {"old": 9}}, counted_until=START)
    await view.refresh()
    await Stored(engine, generation=2).add({minute: {"new": 7}}, counted_until=START)
    async with engine.begin() as connection:
        await connection.execute(tables.trending_state.update().values(live_generation=2))

    await view.refresh()

    assert view.trending("24h", 9).tags == view.top("1h", 9).tags == [("new", 7)]
