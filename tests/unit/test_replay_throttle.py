"""A replay grows while live work is quick, and makes way at once when it is not."""

from datetime import timedelta

from streams.replay.throttle import FIRST, Throttle


def throttle(most: int = 100) -> Throttle:
    return Throttle(most, timedelta(milliseconds=250), lambda: 0.0)


def test_the_window_grows_to_its_limit_while_live_work_does_not_wait() -> None:
    found = throttle()

    windows = [found.window]
    for _ in range(6):
        found.note(timedelta(milliseconds=20))
        windows.append(found.window)

    assert windows[0] == FIRST
    assert windows == sorted(windows)
    assert windows[-1] == 100


def test_the_window_halves_each_time_that_live_work_waits_and_one_is_always_left() -> None:
    found = throttle()
    for _ in range(10):
        found.note(timedelta(seconds=1))

    assert found.window == 1


def test_a_window_may_be_smaller_than_where_it_usually_begins() -> None:
    assert throttle(most=5).window == 5
