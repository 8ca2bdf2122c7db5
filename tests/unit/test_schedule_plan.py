"""The policies for missed and overlapping instants: what becomes of each instant that is due."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from streams.schedules.plan import AT_ONCE, Plan, plan
from streams.schedules.schedule import Misfire, Schedule

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
GRACE = timedelta(minutes=1)
HOURLY = Schedule(name="hourly", task="t", starts_at=NOON, cron="0 * * * *", overlap="allow", next_at=NOON)
EACH_SECOND = replace(HOURLY, cron=None, every=timedelta(seconds=1))


def ran(planned: Plan) -> list[datetime]:
    return [due.instant for due in planned.dues if due.skipped is None]


def skipped(planned: Plan) -> list[datetime]:
    return [due.instant for due in planned.dues if due.skipped is not None]


def test_an_instant_on_time_runs_and_the_next_one_follows() -> None:
    planned = plan(HOURLY, NOON, GRACE, None)

    assert (ran(planned), planned.next_at, planned.more) == ([NOON], NOON + HOUR, False)


def test_nothing_is_due_before_its_instant() -> None:
    planned = plan(HOURLY, NOON - timedelta(microseconds=1), GRACE, None)

    assert (planned.dues, planned.next_at, planned.more) == ([], NOON, False)


@pytest.mark.parametrize(
    ("misfire", "runs"), [("run_once", [3]), ("skip", []), ("run_all", [0, 1, 2, 3])], ids=lambda value: str(value)
)
def test_of_missed_instants_the_newest_none_or_all_run(misfire: Misfire, runs: list[int]) -> None:
    planned = plan(replace(HOURLY, misfire=misfire), NOON + 3.5 * HOUR, GRACE, None)

    assert ran(planned) == [NOON + number * HOUR for number in runs]
    assert sorted(ran(planned) + skipped(planned)) == [NOON + number * HOUR for number in range(4)]
    assert planned.next_at == NOON + 4 * HOUR


@pytest.mark.parametrize("misfire", ["run_once", "skip"])
def test_an_instant_within_the_grace_runs_for_those_that_were_missed(misfire: Misfire) -> None:
    planned = plan(replace(HOURLY, misfire=misfire), NOON + 3 * HOUR + GRACE, GRACE, None)

    assert ran(planned) == [NOON + 3 * HOUR]


@pytest.mark.parametrize("misfire", ["run_once", "skip", "run_all"])
def test_every_instant_within_the_grace_runs(misfire: Misfire) -> None:
    planned = plan(replace(EACH_SECOND, misfire=misfire), NOON + timedelta(seconds=5), GRACE, None)

    assert len(ran(planned)) == 6


def test_a_skipped_instant_says_why() -> None:
    once = plan(HOURLY, NOON + 26.5 * HOUR, GRACE, None)
    never = plan(replace(HOURLY, misfire="skip"), NOON + 26.5 * HOUR, GRACE, None)

    assert once.dues[0].skipped == "missed by 1 day, 2:30:00; a later instant runs for it (misfire run_once)"
    assert never.dues[-1].skipped == "missed by 0:30:00 (misfire skip)"


def test_a_long_outage_is_dealt_with_in_rounds_and_run_once_still_means_once() -> None:
    now, schedule, runs, rounds = NOON + timedelta(seconds=2 * AT_ONCE + 99.5), EACH_SECOND, [], 0

    while True:
        planned = plan(schedule, now, timedelta(), None)
        runs += ran(planned)
        rounds += 1
        schedule = replace(schedule, next_at=planned.next_at)
        assert len(planned.dues) <= AT_ONCE
        if not planned.more:
            break

    assert (rounds, runs) == (3, [NOON + timedelta(seconds=2 * AT_ONCE + 99)])


def test_while_an_earlier_run_is_open_an_instant_is_skipped_with_the_reason() -> None:
    planned = plan(replace(HOURLY, overlap="skip"), NOON, GRACE, NOON - 2 * HOUR)

    assert [due.skipped for due in planned.dues] == ["the run of 2026-03-04T10:00:00Z has not ended (overlap skip)"]


def test_a_run_of_a_later_instant_is_no_overlap() -> None:
    planned = plan(replace(HOURLY, overlap="skip"), NOON, GRACE, NOON + HOUR)

    assert ran(planned) == [NOON]


def test_of_several_instants_that_are_due_at_once_the_first_is_the_others_overlap() -> None:
    planned = plan(replace(EACH_SECOND, overlap="skip"), NOON + timedelta(seconds=3), GRACE, None)

    assert ran(planned) == [NOON]
    assert {due.skipped for due in planned.dues[1:]} == {"the run of 2026-03-04T12:00:00Z has not ended (overlap skip)"}


def test_what_runs_once_has_no_next_instant() -> None:
    planned = plan(replace(HOURLY, cron=None, at=NOON), NOON, GRACE, None)

    assert (ran(planned), planned.next_at, planned.more) == ([NOON], None, False)
