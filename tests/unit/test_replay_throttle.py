"""A replay takes what live work leaves: all where there is none, and beside it only as much as that hardly feels."""

from datetime import timedelta

import pytest

from streams.replay.throttle import FIRST, REST_EVERY, Throttle, Waits
from streams.setting_groups import Replay
from tests.clocks import Seconds

ALONE = timedelta(milliseconds=40)


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def throttle(clock: Seconds) -> Throttle:
    return Throttle(Replay(window=100, max_live_growth=1.25), clock)


def waits(start: timedelta = ALONE, live: int = 300, replayed: int = 0, outbox: timedelta = timedelta()) -> Waits:
    return Waits(live, start, replayed, outbox)


IDLE = waits(live=0, start=timedelta())


def feed(throttle: Throttle, clock: Seconds, found: Waits, seconds: int) -> list[int]:
    """The windows of so many looks, one each second."""
    windows = []
    for _ in range(seconds):
        clock.seconds += 1
        assert throttle.is_due
        throttle.note(found, open_runs=throttle.window)
        windows.append(throttle.window)
    return windows


def test_without_live_work_the_window_doubles_up_to_its_limit(throttle: Throttle, clock: Seconds) -> None:
    throttle.note(IDLE, open_runs=0)

    assert throttle.window == FIRST
    assert feed(throttle, clock, IDLE, 4) == [40, 80, 100, 100]


def test_beside_live_work_it_begins_small_and_grows_while_that_waits_no_longer(
    throttle: Throttle, clock: Seconds
) -> None:
    throttle.note(waits(), open_runs=0)

    windows = feed(throttle, clock, waits(), 40)

    assert windows[0] <= FIRST // 4
    assert windows == sorted(windows)
    assert windows[-1] == 100


def test_it_comes_to_rest_where_live_work_waits_as_long_as_it_may(throttle: Throttle, clock: Seconds) -> None:
    throttle.note(waits(), open_runs=0)
    feed(throttle, clock, waits(), 10)

    (before, *_, after) = feed(throttle, clock, waits(ALONE * 1.25), 20)

    assert after == before


def test_it_makes_way_where_live_work_waits_longer_and_one_run_is_always_left(
    throttle: Throttle, clock: Seconds
) -> None:
    throttle.note(waits(), open_runs=0)
    (*_, grown) = feed(throttle, clock, waits(), 20)

    windows = feed(throttle, clock, waits(ALONE * 2), 10)

    assert windows[0] <= grown * 0.6
    assert windows[-1] == 1


def test_what_live_work_waits_alone_comes_down_where_it_was_measured_in_a_slow_moment(
    throttle: Throttle, clock: Seconds
) -> None:
    throttle.note(waits(ALONE * 4), open_runs=0)
    feed(throttle, clock, waits(), 30)

    windows = feed(throttle, clock, waits(ALONE * 2), 10)

    assert windows == sorted(windows, reverse=True)
    assert windows[-1] < windows[0]


@pytest.mark.parametrize("found", [waits(timedelta(seconds=1)), waits(outbox=timedelta(seconds=1))])
def test_a_long_wait_is_too_long_even_where_it_was_as_long_before(
    throttle: Throttle, clock: Seconds, found: Waits
) -> None:
    throttle.note(found, open_runs=0)

    assert feed(throttle, clock, found, 5)[-1] == 1


def test_each_minute_it_rests_until_what_it_has_started_is_over_and_measures_live_work_alone(
    throttle: Throttle, clock: Seconds
) -> None:
    throttle.note(waits(), open_runs=0)
    feed(throttle, clock, waits(), int(REST_EVERY) - 1)

    resting = []
    for found, open_runs in ((waits(), 9), (waits(ALONE * 1.2, replayed=9), 3), (waits(ALONE * 1.2, replayed=3), 0)):
        clock.seconds += 1
        throttle.note(found, open_runs)
        resting.append(throttle.window)
    throttle.note(waits(ALONE * 1.2), open_runs=0)

    assert resting == [0, 0, 0]
    assert throttle.window > 1


def test_runs_that_stay_open_do_not_hold_the_replay_up_for_ever(throttle: Throttle, clock: Seconds) -> None:
    throttle.note(waits(), open_runs=0)
    feed(throttle, clock, waits(), int(REST_EVERY))

    windows = []
    for _ in range(40):
        clock.seconds += 1
        throttle.note(waits(), open_runs=1)
        windows.append(throttle.window)

    assert windows[0] == 0
    assert windows[-1] > 1


def test_live_work_that_comes_during_a_replay_is_measured_before_the_replay_goes_on(
    throttle: Throttle, clock: Seconds
) -> None:
    throttle.note(IDLE, open_runs=0)
    assert feed(throttle, clock, IDLE, 4)[-1] == 100

    resting = feed(throttle, clock, waits(ALONE * 5), 1)
    throttle.note(waits(), open_runs=0)

    assert resting == [0]
    assert 0 < throttle.window < FIRST


def test_reading_that_submits_nothing_rests_longer_where_the_window_is_small(
    throttle: Throttle, clock: Seconds
) -> None:
    throttle.note(waits(), open_runs=0)
    beside = throttle.rest
    feed(throttle, clock, IDLE, 10)

    assert beside >= 10 * throttle.rest


def test_a_window_may_be_smaller_than_where_it_usually_begins(clock: Seconds) -> None:
    throttle = Throttle(Replay(window=5), clock)
    throttle.note(IDLE, open_runs=0)

    assert throttle.window == 5
