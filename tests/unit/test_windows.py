"""Running totals against a sum over the panes."""

from hypothesis import given
from hypothesis import strategies as st

from streams.trending.delta import add_panes, in_parts
from streams.trending.windows import HOUR_WINDOWS, MINUTE_WINDOWS, WINDOWS, HourWindows, MinuteWindows

minutes = st.integers(900, 1100)
panes = st.dictionaries(minutes, st.dictionaries(st.sampled_from("abcd"), st.integers(1, 5), min_size=1), max_size=5)


@given(st.lists(st.one_of(panes, st.integers(1000, 1060)), max_size=12))
def test_totals_are_the_sum_of_the_panes_in_the_window(steps: list[dict[int, dict[str, int]] | int]) -> None:
    windows = MinuteWindows(1000)
    added = []

    for step in steps:
        if isinstance(step, int):
            windows.advance(step)
        else:
            windows.add(step)
            added.append(step)

    for window in ("5m", "15m", "1h"):
        first, last = windows.now - MINUTE_WINDOWS[window] + 1, windows.now
        expected: dict[str, int] = {}
        for uses in added:
            for minute, tags in uses.items():
                for tag, count in tags.items() if first <= minute <= last else ():
                    expected[tag] = expected.get(tag, 0) + count
        assert windows.top(window, 10) == sorted(expected.items(), key=lambda item: (-item[1], item[0]))


def test_a_window_leaves_a_minute_when_it_has_passed() -> None:
    windows = MinuteWindows(1000)
    windows.add({996: {"a": 1}, 1000: {"b": 1}, 1001: {"c": 1}})
    assert windows.top("5m", 10) == [("a", 1), ("b", 1)]

    windows.advance(1001)

    assert windows.top("5m", 10) == [("b", 1), ("c", 1)]


def test_of_many_tags_the_ones_with_most_uses_are_first_and_ties_go_by_name() -> None:
    windows = MinuteWindows(1000)
    windows.add({1000: {f"t{number:05d}": number % 7 + 1 for number in range(5000)}})

    assert windows.top("1h", 3) == [("t00006", 7), ("t00013", 7), ("t00020", 7)]


def test_windows_of_hours_count_what_is_archived_and_what_comes_since() -> None:
    windows = HourWindows(20, {"24h": {"a": 5}, "7d": {"a": 7, "b": 1}})

    windows.add({20 * 60: {"a": 1}, 20 * 60 + 59: {"c": 1}, 21 * 60: {"later": 1}, -5 * 60: {"b": 1}})

    assert windows.top("24h", 10) == [("a", 6), ("c", 1)]
    assert windows.top("7d", 10) == [("a", 8), ("b", 2), ("c", 1)]
    assert windows.span("24h") == (-3, 20)
    assert set(WINDOWS) == set(MINUTE_WINDOWS) | set(HOUR_WINDOWS)


@given(panes, st.integers(1, 3))
def test_parts_are_small_and_together_the_same(whole: dict[int, dict[str, int]], size: int) -> None:
    parts = list(in_parts(whole, size))

    again: dict[int, dict[str, int]] = {}
    for part in parts:
        add_panes(again, part)
    assert again == whole
    assert all(len(tags) <= size for part in parts for tags in part.values())
