"""``tailrace schedule`` as people and programs use it."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.envelope import rfc3339
from streams.schedules import backfill, store
from streams.schedules.schedule import WrongSchedule
from streams.schedules.timing import TimingError
from tests.processes import run
from tests.scheduling import TASKS, add, database_now, instants, new_timer, orders, schedule, update

HOUR = timedelta(hours=1)
MAIL = ("--task", "send_welcome_email", "--args", '{"user_id": 7}')

Command = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def command(environment: dict[str, str]) -> Command:
    async def schedule_command(*arguments: str) -> tuple[int, str, str]:
        return await run("schedule", *arguments, environment=environment)

    return schedule_command


async def json_of(command: Command, *arguments: str) -> Any:
    code, out, errors = await command(*arguments, "--json")
    assert code == 0, errors
    return json.loads(out)


async def test_a_schedule_from_its_creation_to_its_deletion(command: Command) -> None:
    created = await command("create", "greet", *MAIL, "--cron", "30 2 * * *", "--zone", "Europe/Berlin")
    listed = await json_of(command, "list")
    edited = await command("edit", "greet", "--every", "6h", "--queue", "users", "--jitter", "30s")
    shown = await json_of(command, "show", "greet")
    deleted = await command("delete", "greet")

    assert created[0] == edited[0] == deleted[0] == 0
    assert "greet runs send_welcome_email, next at" in created[1]
    assert [(each["name"], each["cron"], each["zone"]) for each in listed] == [("greet", "30 2 * * *", "Europe/Berlin")]
    assert (shown["cron"], shown["every"], shown["queue"], shown["jitter"]) == (None, "6h", "users", "30s")
    assert shown["runs"] == []
    assert await json_of(command, "list") == []


async def test_the_tables_for_people_name_what_is_due_and_what_ran(command: Command, engine: AsyncEngine) -> None:
    due = await database_now(engine) - timedelta(seconds=1)
    await add(engine, "hourly", due_since=due)
    await new_timer(engine).round()

    listed, shown, coming = await command("list"), await command("show", "hourly"), await command("next", "-n", "3")

    assert "every 1h" in listed[1]
    assert "queued" in shown[1]
    assert f"@{rfc3339(due)}" in shown[1]
    assert len(coming[1].splitlines()) == 4


async def test_next_shows_utc_and_local_time_across_a_change_of_the_clocks(command: Command) -> None:
    options = ("--cron", "30 2 * * *", "--zone", "Europe/Berlin", "--starts-at", "2027-03-27T00:00:00Z")
    await command("create", "greet", *MAIL, *options)

    coming = await json_of(command, "next", "greet", "-n", "3")

    assert [(each["at"], each["local"]) for each in coming] == [
        ("2027-03-27T01:30:00Z", "2027-03-27T02:30:00+01:00"),
        ("2027-03-28T01:00:00Z", "2027-03-28T03:00:00+02:00"),
        ("2027-03-29T00:30:00Z", "2027-03-29T02:30:00+02:00"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "x", "--task", "send_mail", "--every", "1h"), "there is no task 'send_mail'"),
        (("create", "x", "--task", "send_welcome_email", "--every", "1h"), "user_id is missing"),
        (("create", "x", *MAIL, "--at", "2020-01-01T00:00:00Z"), "2020-01-01T00:00:00Z has passed"),
        (("create", "taken", *MAIL, "--every", "1h"), "`tailrace schedule edit` changes it"),
        (("show", "takn"), "there is no schedule 'takn' (did you mean taken?)"),
    ],
    ids=lambda value: " ".join(value[:1]) if isinstance(value, tuple) else "",
)
async def test_what_is_wrong_is_refused_with_what_to_write(
    command: Command, engine: AsyncEngine, arguments: tuple[str, ...], message: str
) -> None:
    await add(engine, "taken")

    code, _, errors = await command(*arguments)

    assert code != 0
    assert message in " ".join(errors.split())


async def test_run_now_orders_a_run_beside_the_instants(command: Command, engine: AsyncEngine) -> None:
    await command("create", "greet", *MAIL, "--every", "1h", "--disabled")

    first, second = await command("run-now", "greet"), await command("run-now", "greet")

    assert first[0] == second[0] == 0
    ordered = await orders(engine)
    assert [order.command["args"] for order in ordered] == [{"user_id": 7}] * 2
    assert ordered[0].command["id"] in first[1]
    assert {order.command["cause"]["type"] for order in ordered} == {"run-now"}


async def test_enabling_after_a_while_goes_on_from_now(command: Command, engine: AsyncEngine) -> None:
    begin = await database_now(engine) - 5.5 * HOUR
    await add(engine, "hourly", due_since=begin)
    await store.disable(engine, "hourly")
    await update(engine, "hourly", task="send_welcome_email")
    await command("edit", "hourly", "--args", '{"user_id": 7}')

    code, out, errors = await command("enable", "hourly")

    assert (code, errors) == (0, "")
    found = await schedule(engine, "hourly")
    assert found.next_at == begin + 6 * HOUR
    assert rfc3339(begin + 6 * HOUR) in out


async def test_an_edit_of_its_times_moves_the_next_instant_and_another_edit_does_not(engine: AsyncEngine) -> None:
    begin = await database_now(engine) - 2.5 * HOUR
    await add(engine, "hourly", due_since=begin)

    await store.edit(engine, TASKS.values(), "hourly", {"queue": "users"})
    kept = await schedule(engine, "hourly")
    await store.edit(engine, TASKS.values(), "hourly", {"every": 2 * HOUR})
    moved = await schedule(engine, "hourly")

    assert (kept.next_at, kept.queue) == (begin, "users")
    assert (moved.next_at, moved.queue) == (begin + 4 * HOUR, "users")


async def test_an_edit_that_is_refused_changes_nothing(engine: AsyncEngine) -> None:
    before = await add(engine, "hourly")

    with pytest.raises(WrongSchedule, match="choose overlap allow"):
        await store.edit(engine, TASKS.values(), "hourly", {"misfire": "run_all", "queue": "users"})

    assert await schedule(engine, "hourly") == before


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cron": "0 0 29 2 *", "starts_at": datetime(9999, 12, 31, tzinfo=UTC)}, "beyond the calendar"),
        ({"at": datetime(2100, 1, 1, tzinfo=UTC), "starts_at": datetime(2101, 1, 1, tzinfo=UTC)}, "before its start"),
        ({"at": datetime(2020, 1, 1, tzinfo=UTC)}, "2020-01-01T00:00:00Z has passed"),
    ],
    ids=lambda value: "",
)
async def test_what_will_never_be_due_is_refused(engine: AsyncEngine, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(TimingError, match=message):
        await add(engine, "never", **{"every": None, **wrong})


async def test_the_name_of_a_deleted_schedule_is_free(engine: AsyncEngine) -> None:
    await add(engine, "hourly")
    await store.delete(engine, "hourly")

    created = await add(engine, "hourly", every=2 * HOUR)

    assert await schedule(engine, "hourly") == created


async def test_a_backfill_runs_each_instant_once_also_those_that_were_missed(
    command: Command, engine: AsyncEngine
) -> None:
    begin = await database_now(engine) - 10.5 * HOUR
    await add(engine, "hourly", due_since=begin + 5 * HOUR, starts_at=begin, misfire="skip")
    await add(engine, "other", due_since=begin)
    await new_timer(engine).round()
    await update(engine, "hourly", task="count_all")
    span = (begin, begin + 9 * HOUR)

    dry = await backfill.backfill(engine, TASKS.values(), "hourly", *span, dry_run=True)
    before = await instants(engine, "hourly", "queued")
    first = await backfill.backfill(engine, TASKS.values(), "hourly", *span, dry_run=False)
    second = await backfill.backfill(engine, TASKS.values(), "hourly", *span, dry_run=False)

    wanted = [begin + number * HOUR for number in range(9)]
    assert before == []
    assert (dry.submitted, dry.already_run, dry.first, dry.last) == (9, 0, wanted[0], wanted[-1])
    assert (first.submitted, first.already_run) == (9, 0)
    assert (second.submitted, second.already_run) == (0, 9)
    assert await instants(engine, "hourly", "queued") == wanted
    ordered = [order for order in await orders(engine) if order.command["cause"]["source"] == "schedule:hourly"]
    assert sorted(datetime.fromisoformat(order.command["caused_at"]) for order in ordered) == wanted


async def test_a_backfill_leaves_alone_what_ran_and_what_a_task_skipped_itself(engine: AsyncEngine) -> None:
    begin = await database_now(engine) - 3.5 * HOUR
    await add(engine, "hourly", due_since=begin, misfire="run_all", overlap="allow")
    await new_timer(engine).round()
    async with engine.begin() as connection:
        ended = text("UPDATE tailrace.task_runs SET state = 'skipped', started_at = now() WHERE caused_at = :at")
        await connection.execute(ended, {"at": begin})

    found = await backfill.backfill(engine, TASKS.values(), "hourly", begin, begin + 9 * HOUR, dry_run=False)

    assert (found.submitted, found.already_run) == (0, 4)


async def test_what_a_backfill_has_run_the_timer_does_not_run_again(engine: AsyncEngine) -> None:
    begin = await database_now(engine) - 3.5 * HOUR
    await add(engine, "hourly", due_since=begin, misfire="run_all", overlap="allow")

    await backfill.backfill(engine, TASKS.values(), "hourly", begin, begin + 2 * HOUR, dry_run=False)
    await new_timer(engine).round()

    assert len(await instants(engine, "hourly", "queued")) == 4
    assert len(await orders(engine)) == 4


async def test_a_backfill_of_no_time_or_of_one_that_the_ledger_lacks_is_refused(engine: AsyncEngine) -> None:
    now = await database_now(engine)
    await add(engine, "hourly")

    with pytest.raises(WrongSchedule, match="is not later than --from"):
        await backfill.backfill(engine, TASKS.values(), "hourly", now, now - HOUR, dry_run=True)
    with pytest.raises(WrongSchedule, match=r"the ledger begins at .*: choose --from no earlier"):
        await backfill.backfill(engine, TASKS.values(), "hourly", now - 1000 * 24 * HOUR, now, dry_run=True)


async def test_the_backfill_command_counts(command: Command, engine: AsyncEngine) -> None:
    starts = datetime.now(UTC) - 10.5 * HOUR
    await command("create", "greet", *MAIL, "--every", "1h", "--starts-at", rfc3339(starts))
    span = ("--from", "10h", "--to", "0s")

    dry = await command("backfill", "greet", *span, "--dry-run")
    done = await json_of(command, "backfill", "greet", *span)

    assert dry[1].startswith("10 runs would be submitted, 0 instants had run already, from ")
    assert (done["submitted"], done["already_run"]) == (10, 0)
    assert len(await orders(engine)) == 10
