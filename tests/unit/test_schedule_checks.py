"""What a schedule must be to be kept, and the identity of its runs."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from streams.schedules.schedule import REFUSALS, Schedule, check_schedule
from streams.task import Context, Done, Outcome, Task, task

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


class Limits(msgspec.Struct):
    days: int
    dry_run: bool = True


class Nothing(msgspec.Struct):
    """No arguments."""


@task(queue="maintenance")
async def clean_up(args: Limits, ctx: Context) -> Outcome:
    return Done()


@task(queue="analytics")
async def count_all(args: Nothing, ctx: Context) -> Outcome:
    return Done()


TASKS: tuple[Task, ...] = (clean_up, count_all)


def schedule(**changes: Any) -> Schedule:
    given = {"name": "nightly", "task": "clean_up", "args": {"days": 30}, "cron": "0 2 * * *", "starts_at": NOON}
    return Schedule(**{**given, **changes})


def test_the_arguments_of_the_runs_have_their_defaults() -> None:
    assert check_schedule(schedule(), TASKS) == {"days": 30, "dry_run": True}


def test_a_task_without_arguments_gets_none() -> None:
    assert check_schedule(schedule(task="count_all", args={}), TASKS) == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "clean_upp"}, r"no task 'clean_upp' \(did you mean clean_up\?\)"),
        ({"args": {}}, r"days is missing. It takes days \(an integer\), dry_run \(true or false, optional\)"),
        ({"args": {"days": "many"}}, "days: Expected `int`, got `str`"),
        ({"args": {"days": 3, "dry": True}}, r"no argument 'dry' \(did you mean dry_run\?\)"),
        ({"queue": "mail"}, "no queue 'mail'; the queues are media, emails"),
        ({"cron": None}, "exactly one of cron, every and at"),
        ({"every": timedelta(hours=1)}, "exactly one of cron, every and at"),
        ({"cron": "0 25 * * *"}, "bad hour"),
        ({"zone": "Europe/Belrin"}, "the nearest is Europe/Berlin"),
        ({"cron": None, "every": timedelta(milliseconds=10)}, "every 10ms is too often"),
        ({"cron": None, "every": timedelta(minutes=1), "jitter": timedelta(minutes=2)}, "a jitter of 2m mixes up"),
        ({"jitter": timedelta(seconds=-1)}, "a jitter is between 0s"),
        ({"jitter": timedelta(days=2)}, "a jitter is between 0s, which is none, and 1d"),
        ({"cron": None, "every": timedelta(days=4000)}, "every 4000d is too seldom"),
        ({"cron": None, "every": timedelta(days=1), "zone": "Mars"}, "there is no time zone 'Mars'"),
        ({"misfire": "run_all"}, "choose overlap allow"),
        ({"name": "a name"}, "no name for a schedule"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_run_is_refused_with_what_to_change(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(REFUSALS, match=message):
        check_schedule(schedule(**changes), TASKS)


def test_missed_instants_can_all_run_where_runs_may_overlap() -> None:
    check_schedule(schedule(misfire="run_all", overlap="allow"), TASKS)


def test_an_instant_has_one_id_however_it_is_written_and_each_schedule_its_own() -> None:
    elsewhere = NOON.astimezone(datetime.strptime("+0530", "%z").tzinfo)

    ids = {schedule().command(instant, {}).id for instant in (NOON, elsewhere)}
    others = {schedule(name="other").command(NOON, {}).id, schedule().command(NOON + timedelta(days=1), {}).id}

    assert len(ids) == 1
    assert len(ids | others) == 3


def test_nothing_is_due_before_the_start() -> None:
    starts = NOON + timedelta(days=3)

    by_cron = schedule(starts_at=starts).first_after(NOON)
    by_interval = schedule(cron=None, every=timedelta(hours=5), starts_at=starts).first_after(NOON)

    assert by_cron == starts + timedelta(hours=14)
    assert by_interval == starts


def test_a_jitter_delays_each_run_by_its_own_share_which_stays_the_same() -> None:
    jittered = schedule(jitter=timedelta(minutes=10))
    ids = [uuid.UUID(int=number) for number in range(100)]

    starts = [jittered.delayed(run_id, NOON) for run_id in ids]

    assert starts == [jittered.delayed(run_id, NOON) for run_id in ids]
    assert all(NOON <= start < NOON + timedelta(minutes=10) for start in starts)
    assert max(starts) - min(starts) > timedelta(minutes=8)


def test_without_a_jitter_nothing_is_delayed() -> None:
    assert schedule().delayed(uuid.uuid4(), NOON) == NOON
