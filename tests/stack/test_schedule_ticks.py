"""Ticks on real PostgreSQL: each instant at most one run, and exactly those runs that the policies say."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.metrics import Metrics
from streams.schedules.plan import AT_ONCE
from streams.schedules.schedule import Misfire
from tests.scheduling import add, database_now, instants, new_timer, orders, schedule, update

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(("misfire", "running"), [("run_once", [25]), ("skip", []), ("run_all", list(range(26)))])
async def test_an_outage_of_26_hours_gives_exactly_the_runs_of_its_policy(
    engine: AsyncEngine, misfire: Misfire, running: list[int]
) -> None:
    begin = await database_now(engine) - 25.5 * HOUR
    missed = [begin + number * HOUR for number in range(26)]
    await add(engine, "hourly", due_since=begin, misfire=misfire, overlap="allow")

    await new_timer(engine).round()

    expected = [missed[number] for number in running]
    assert await instants(engine, "hourly", "queued") == expected
    assert await instants(engine, "hourly", "skipped") == [instant for instant in missed if instant not in expected]
    assert sorted(datetime.fromisoformat(order.command["caused_at"]) for order in await orders(engine)) == expected
    found = await schedule(engine, "hourly")
    assert found.next_at == begin + 26 * HOUR
    assert found.last_at == (expected[-1] if expected else None)


async def test_a_daily_job_that_an_outage_spans_runs_once_afterwards(engine: AsyncEngine) -> None:
    yesterday = await database_now(engine) - timedelta(hours=25)
    await add(engine, "daily", cron=f"{yesterday.minute} {yesterday.hour} * * *", every=None)
    due = yesterday.replace(second=0, microsecond=0)
    await update(engine, "daily", next_at=due)

    await new_timer(engine).round()

    assert await instants(engine, "daily", "skipped") == [due]
    assert await instants(engine, "daily", "queued") == [due + timedelta(days=1)]


async def test_a_tick_orders_the_run_with_its_arguments_on_its_queue(engine: AsyncEngine) -> None:
    due = await database_now(engine) - timedelta(seconds=1)
    await add(engine, "nightly", due_since=due, task="clean_up", args={"days": 30}, queue="users")
    metrics = Metrics()

    await new_timer(engine, metrics).round()

    (order,) = await orders(engine)
    assert order.topic == "queue.users"
    assert order.command["args"] == {"days": 30}
    assert order.command["cause"]["source"] == "schedule:nightly"
    assert str((await schedule(engine, "nightly")).last_run) == order.command["id"]
    assert metrics.ticks.labels("nightly", "run")._value.get() == 1


async def test_a_second_look_finds_nothing(engine: AsyncEngine) -> None:
    await add(engine, "hourly", due_since=await database_now(engine) - timedelta(seconds=1))
    timer = new_timer(engine)

    await timer.round()
    await timer.round()

    assert len(await orders(engine)) == 1


async def test_an_instant_that_the_row_forgets_is_not_run_again(engine: AsyncEngine) -> None:
    due = await database_now(engine) - timedelta(seconds=1)
    await add(engine, "hourly", due_since=due)
    await new_timer(engine).round()

    await update(engine, "hourly", next_at=due)
    await new_timer(engine).round()

    assert len(await orders(engine)) == 1
    assert await instants(engine, "hourly", "queued") == [due]


async def test_while_a_run_is_open_the_next_instant_is_skipped_and_the_one_after_its_end_runs(
    engine: AsyncEngine,
) -> None:
    first = await database_now(engine) - timedelta(seconds=30)
    await add(engine, "often", due_since=first, every=timedelta(seconds=10))
    await update(engine, "often", next_at=first)
    timer = new_timer(engine)
    await timer.round()
    assert await instants(engine, "often", "queued") == [first]

    async with engine.begin() as connection:
        await connection.execute(text("UPDATE tailrace.task_runs SET state = 'done' WHERE state = 'queued'"))
    due = await database_now(engine) - timedelta(milliseconds=1)
    await update(engine, "often", next_at=due, starts_at=due)
    await timer.round()

    assert await instants(engine, "often", "queued") == [due]
    assert len(await instants(engine, "often", "skipped")) >= 2


async def test_a_jitter_delays_the_order_and_not_the_instant(engine: AsyncEngine) -> None:
    due = await database_now(engine) - timedelta(milliseconds=1)
    await add(engine, "hourly", due_since=due, jitter=timedelta(minutes=50))

    await new_timer(engine).round()

    (order,) = await orders(engine)
    assert due < order.due_at < due + timedelta(minutes=50)
    assert await instants(engine, "hourly", "queued") == [due]


async def test_what_runs_once_runs_once(engine: AsyncEngine) -> None:
    at = await database_now(engine) + timedelta(days=1)
    await add(engine, "once", every=None, at=at)
    await update(engine, "once", at=at - timedelta(days=2), next_at=at - timedelta(days=2))

    await new_timer(engine).round()

    assert await instants(engine, "once", "queued") == [at - timedelta(days=2)]
    assert (await schedule(engine, "once")).next_at is None


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"every": None, "cron": "0 25 * * *"}, "bad hour"),
        ({"every": None, "cron": "0 0 * * *", "zone": "Mars/Olympus"}, "no time zone 'Mars/Olympus'"),
        ({"args": '{"days": "many"}', "task": "clean_up"}, "days: Expected `int`, got `str`"),
        ({"queue": "mail"}, "no queue 'mail'"),
    ],
    ids=lambda value: "",
)
async def test_a_schedule_that_cannot_run_says_so_and_stops_no_other(
    engine: AsyncEngine, wrong: dict[str, str | None], problem: str
) -> None:
    due = await database_now(engine) - 2 * HOUR
    await add(engine, "broken", due_since=due)
    await add(engine, "sound", due_since=due + HOUR / 2)
    columns = {name: value for name, value in wrong.items() if name != "args"}
    await update(engine, "broken", **columns)
    if "args" in wrong:
        async with engine.begin() as connection:
            await connection.execute(
                text("UPDATE tailrace.schedules SET args = CAST(:args AS jsonb) WHERE name = 'broken'"),
                {"args": wrong["args"]},
            )

    more = await new_timer(engine).round()

    broken = await schedule(engine, "broken")
    assert problem in (broken.error or "")
    assert broken.next_at == due
    assert not more
    assert len(await instants(engine, "sound", "queued")) == 1


async def test_a_schedule_that_is_mended_goes_on_with_what_it_missed(engine: AsyncEngine) -> None:
    due = await database_now(engine) - timedelta(minutes=90)
    await add(engine, "mended", due_since=due)
    await update(engine, "mended", queue="mail")
    timer = new_timer(engine)
    await timer.round()

    await update(engine, "mended", queue=None)
    await timer.round()

    assert (await schedule(engine, "mended")).error is None
    assert await instants(engine, "mended", "skipped") == [due]
    assert await instants(engine, "mended", "queued") == [due + HOUR]


async def test_a_schedule_of_a_task_that_this_worker_lacks_is_left_alone(engine: AsyncEngine) -> None:
    due = await database_now(engine) - HOUR / 2
    await add(engine, "newer", due_since=due)
    await update(engine, "newer", task="a_task_of_the_next_version")

    await new_timer(engine).round()

    found = await schedule(engine, "newer")
    assert (found.next_at, found.error) == (due, None)
    assert await orders(engine) == []


async def test_a_disabled_schedule_is_left_alone(engine: AsyncEngine) -> None:
    due = await database_now(engine) - HOUR / 2
    await add(engine, "off", due_since=due)
    await update(engine, "off", enabled=False)

    await new_timer(engine).round()

    assert await orders(engine) == []


async def test_instants_that_are_older_than_the_ledger_are_passed_over(engine: AsyncEngine) -> None:
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    await add(engine, "ancient", due_since=begin, every=timedelta(days=1))
    async with engine.connect() as connection:
        oldest = text("SELECT min(from_day)::timestamp AT TIME ZONE 'UTC' FROM tailrace.task_run_months")
        ledger_begins = (await connection.execute(oldest)).scalar_one()

    await new_timer(engine).round()

    assert (await instants(engine, "ancient", "skipped"))[0] == ledger_begins
    assert len(await instants(engine, "ancient", "queued")) == 1


async def test_a_schedule_with_millions_of_missed_instants_holds_up_no_other(engine: AsyncEngine) -> None:
    begin = await database_now(engine) - timedelta(days=40)
    await add(engine, "each_second", due_since=begin, every=timedelta(seconds=1))
    await add(engine, "hourly", due_since=await database_now(engine) - timedelta(seconds=1))

    more = await new_timer(engine).round()

    assert more
    assert len(await instants(engine, "each_second", "skipped")) == AT_ONCE
    assert (await schedule(engine, "each_second")).next_at == begin + timedelta(seconds=AT_ONCE)
    assert len(await instants(engine, "hourly", "queued")) == 1
