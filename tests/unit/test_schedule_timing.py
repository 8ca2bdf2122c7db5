"""Instants of a schedule across each change of the clocks, of each zone, in 2026 and 2027."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest

from streams.schedules.clock_changes import changes_in, local_time
from streams.schedules.timing import At, Cron, Every, Timing, TimingError

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
BY_HALF_AN_HOUR = {"Australia/Lord_Howe", "Australia/LHI"}
DAILY = ("0 0 * * *", "30 0 * * *", "30 1 * * *", "15 2 * * *", "30 2 * * *", "0 3 * * *", "30 23 * * *", "59 23 * * *")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def between(timing: Timing, begin: datetime, end: datetime) -> list[datetime]:
    """Its instants later than ``begin`` and not later than ``end``."""
    return list(takewhile(lambda instant: instant <= end, timing.after(begin)))


def changes() -> Iterator[tuple[str, datetime]]:
    for name in sorted(available_timezones()):
        for year in (2026, 2027):
            for change in changes_in(ZoneInfo(name), year):
                yield name, change


@pytest.fixture(scope="module")
def all_changes() -> list[tuple[str, datetime]]:
    return list(changes())


def test_the_changes_of_all_zones_are_found(all_changes: list[tuple[str, datetime]]) -> None:
    assert len(all_changes) > 600
    assert ("Europe/Berlin", utc(2026, 3, 29, 1)) in all_changes
    assert ("Europe/Berlin", utc(2026, 10, 25, 1)) in all_changes
    assert ("America/New_York", utc(2027, 3, 14, 7)) in all_changes


@pytest.mark.parametrize("cron", DAILY)
def test_a_daily_job_runs_once_on_each_local_day_around_each_change(
    cron: str, all_changes: list[tuple[str, datetime]]
) -> None:
    wrong = []

    for name, change in all_changes:
        zone, begin, end = ZoneInfo(name), change - 3 * DAY, change + 3 * DAY
        runs = Counter(local_time(zone, instant).date() for instant in between(Cron(cron, name), begin, end))
        first, last = local_time(zone, begin).date(), local_time(zone, end).date()
        wrong += [(name, day, runs[day]) for day in days_between(first, last) if runs[day] != 1]

    assert wrong == []


def days_between(first: date, last: date) -> Iterator[date]:
    """Without both."""
    return (first + number * DAY for number in range(1, (last - first).days))


def test_a_daily_job_is_found_from_every_minute_before_it(all_changes: list[tuple[str, datetime]]) -> None:
    """Whatever instant one goes on from, also inside an hour that is shown twice, the next is the same."""
    wrong = []

    for name, change in all_changes[::10]:
        expected = between(Cron("30 1 * * *", name), change - 2 * DAY, change + 2 * DAY)
        for minutes in range(-180, 180, 7):
            begin = change + timedelta(minutes=minutes)
            following = next(Cron("30 1 * * *", name).after(begin))
            wrong += [(name, begin)] if following != min(i for i in expected if i > begin) else []

    assert wrong == []


@pytest.mark.parametrize("cron", ["0 * * * *", "20 * * * *", "20 0-23 * * *", "0 20 * * * *"])
def test_an_hourly_job_runs_by_elapsed_time_around_each_change(
    cron: str, all_changes: list[tuple[str, datetime]]
) -> None:
    wrong = []

    for name, change in all_changes:
        runs = between(Cron(cron, name), change - 6 * HOUR, change + 6 * HOUR)
        apart = {later - earlier for earlier, later in pairwise(runs)}
        # A clock that moves by half an hour shows the next full hour after an hour and a half.
        expected = {HOUR, 1.5 * HOUR} if name in BY_HALF_AN_HOUR else {HOUR}
        wrong += [(name, change, apart)] if apart != expected else []

    assert wrong == []


@pytest.mark.parametrize("cron", ["*/20 * * * *", "*/15 0-3 * * *", "7 */2 * * *", "*/10 2 * * *"])
def test_a_job_with_a_star_runs_whenever_the_clock_shows_it(cron: str, all_changes: list[tuple[str, datetime]]) -> None:
    minute, hour = cron.split()[:2]
    step = int(minute[2:]) if "/" in minute else 0
    hours = {"*": range(24), "0-3": range(4), "*/2": range(0, 24, 2), "2": range(2, 3)}[hour]
    wrong = []

    for name, change in all_changes[::3]:
        zone, begin = ZoneInfo(name), change - 5 * HOUR
        walked = [begin + timedelta(minutes=number) for number in range(1, 601)]
        shown = [(instant, local_time(zone, instant)) for instant in walked]
        expected = [
            instant
            for instant, local in shown
            if local.hour in hours and (local.minute % step == 0 if step else local.minute == int(minute))
        ]
        wrong += [(name, change)] if between(Cron(cron, name), begin, walked[-1]) != expected else []

    assert wrong == []


def test_an_interval_runs_by_elapsed_time_in_every_zone() -> None:
    timing = Every(HOUR, utc(2026, 3, 28, 0, 20))

    runs = between(timing, utc(2026, 3, 28, 12), utc(2026, 3, 29, 12))

    assert runs[0] == utc(2026, 3, 28, 12, 20)
    assert len(runs) == 24
    assert {later - earlier for earlier, later in pairwise(runs)} == {HOUR}


@pytest.mark.parametrize(
    ("cron", "zone", "begin", "expected"),
    [
        ("30 2 * * *", "Europe/Berlin", utc(2026, 3, 28, 12), utc(2026, 3, 29, 1)),  # left out: at the change
        ("30 2 * * *", "Europe/Berlin", utc(2026, 10, 24, 12), utc(2026, 10, 25, 0, 30)),  # twice: the first
        ("30 2 * * *", "Europe/Berlin", utc(2026, 10, 25, 1, 15), utc(2026, 10, 26, 1, 30)),  # within the second
        ("30 0 * * *", "Africa/Cairo", utc(2026, 4, 23, 12), utc(2026, 4, 23, 22)),  # a day without a midnight
        ("30 23 * * *", "America/Nuuk", utc(2026, 3, 28, 12), utc(2026, 3, 29, 0, 59)),  # an evening left out
        ("0 12 * * *", "Pacific/Apia", utc(2011, 12, 29, 23), utc(2011, 12, 30, 22)),  # a day left out
        ("0 9 * * MON", "UTC", utc(2026, 1, 1), utc(2026, 1, 5, 9)),
        ("0 0 29 2 *", "UTC", utc(2026, 1, 1), utc(2028, 2, 29)),
    ],
)
def test_the_instant_of_a_local_time_is_the_documented_one(
    cron: str, zone: str, begin: datetime, expected: datetime
) -> None:
    assert next(Cron(cron, zone).after(begin)) == expected


def test_two_times_of_one_gap_are_one_instant() -> None:
    runs = between(Cron("0,30 2 * * *", "Europe/Berlin"), utc(2026, 3, 28, 12), utc(2026, 3, 29, 12))

    assert runs == [utc(2026, 3, 29, 1)]


def test_instants_are_utc_and_later_than_asked_for_to_the_microsecond() -> None:
    noon = utc(2026, 1, 1, 12)

    before = next(Cron("0 12 * * *", "Europe/London").after(noon - timedelta(microseconds=1)))
    at = next(Cron("0 12 * * *", "Europe/London").after(noon))

    assert (before, at) == (noon, noon + DAY)
    assert before.tzinfo is UTC


def test_an_interval_counts_from_its_anchor_either_way() -> None:
    timing = Every(timedelta(minutes=7), utc(2026, 1, 1))

    assert next(timing.after(utc(2026, 1, 1))) == utc(2026, 1, 1, 0, 7)
    assert next(timing.after(utc(2025, 12, 31, 23, 50))) == utc(2025, 12, 31, 23, 53)


def test_once_is_once() -> None:
    timing = At(utc(2026, 1, 1))

    assert list(timing.after(utc(2025, 1, 1))) == [utc(2026, 1, 1)]
    assert list(timing.after(utc(2026, 1, 1))) == []


def test_seconds_can_be_given_in_front() -> None:
    runs = list(islice(Cron("*/20 * * * * *").after(utc(2026, 1, 1)), 3))

    assert runs == [utc(2026, 1, 1, 0, 0, 20), utc(2026, 1, 1, 0, 0, 40), utc(2026, 1, 1, 0, 1)]


@pytest.mark.parametrize("cron", ["", "* * * *", "61 * * * *", "0 25 * * *", "@daily", "0 0 30 2 *", "x y z a b"])
def test_what_is_no_cron_expression_is_refused_with_an_example(cron: str) -> None:
    with pytest.raises(TimingError, match=r"write minute, hour.*'30 2 \* \* \*'"):
        Cron(cron)


@pytest.mark.parametrize("zone", ["Europe/Belrin", "America", "", "../etc/passwd"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(TimingError, match="there is no time zone"):
        Cron("0 0 * * *", zone)


def test_an_unknown_zone_is_refused_with_the_nearest() -> None:
    with pytest.raises(TimingError, match="the nearest is Europe/Berlin"):
        Cron("0 0 * * *", "Europe/Belrin")
