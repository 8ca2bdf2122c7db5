"""What a task does wrong harms its own runs, and nothing beside them."""

import asyncio
from collections.abc import Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.claims import Claim, Order
from streams.durations import parse_duration
from streams.ledger import Ledger
from streams.settings import Settings
from streams.submission import publish_command
from streams.task import Concurrency, Context, Dead, Done, Outcome, RetryPolicy, task
from tests.events import records_of, runs, states
from tests.greeting import Greeting, ended
from tests.orders import command_for, order, with_worker
from tests.tcp_link import link_to
from tests.waiting import eventually
from tests.workers import running_worker

AT_ONCE = RetryPolicy(max_attempts=2, first=parse_duration("20ms"), jitter=0)

# Somebody else has a run's row, e.g. an effect that waits.
LOCK_ROW = text("SELECT 1 FROM tailrace.task_runs WHERE args ->> 'user_id' = :user_id FOR UPDATE")


@task(queue="users")
async def do_nothing(args: Greeting, ctx: Context) -> Outcome:
    return Done()


def broken_key(args: Greeting) -> str:
    return {1: "one", 3: "x" * 9000}[int(args.user_id)]


async def test_a_concurrency_key_that_cannot_be_made_is_a_dead_letter(settings: Settings, engine: AsyncEngine) -> None:
    @task(queue="users", concurrency=Concurrency(key=broken_key))
    async def run_alone(args: Greeting, ctx: Context) -> Outcome:
        return Done()

    async with running_worker(settings, [run_alone, do_nothing]) as parts:
        await order(engine, run_alone, 1, 2, 3)
        await order(engine, do_nothing, 1)
        await eventually(lambda: ended(engine, 3))
        (letter,) = await eventually(lambda: records_of(settings, "queue.users.dlq"))
        await eventually(lambda: not parts.watermark.oldest())

    assert b"no concurrency key" in dict(letter.headers)["tailrace-reason"]
    assert await states(engine) == {"done": 3, "queued": 1}


async def test_a_task_that_something_cancels_is_tried_again_and_holds_no_offset(
    settings: Settings, engine: AsyncEngine
) -> None:
    @task(queue="users", retry=AT_ONCE)
    async def wait_for_a_cancelled_child(args: Greeting, ctx: Context) -> Outcome:
        raise asyncio.CancelledError

    async with running_worker(settings, [wait_for_a_cancelled_child]) as parts:
        await order(engine, wait_for_a_cancelled_child, 1)
        await eventually(lambda: ended(engine, 1))
        await eventually(lambda: not parts.watermark.oldest())

    (run,) = await runs(engine)
    assert (run.state, run.attempt, run.takeovers) == ("dead", 2, 0)
    assert "cancelled" in run.error


async def test_an_effect_with_a_lasting_error_of_its_own_is_dead_in_the_end(
    settings: Settings, engine: AsyncEngine
) -> None:
    async def read_a_missing_file(_: AsyncConnection) -> Mapping[str, Any]:
        raise FileNotFoundError("template.html")

    async def be_cancelled(connection: AsyncConnection) -> None:
        await connection.execute(text("SET LOCAL statement_timeout = '10ms'"))
        await connection.execute(text("SELECT pg_sleep(1)"))

    @task(queue="users", retry=AT_ONCE)
    async def fail_in_effect(args: Greeting, ctx: Context) -> Outcome:
        return Done(effect=read_a_missing_file if args.user_id == 1 else be_cancelled)

    async with running_worker(settings, [fail_in_effect]):
        await order(engine, fail_in_effect, 1, 2)
        await eventually(lambda: ended(engine, 2))

    assert {(run.state, run.attempt) for run in await runs(engine)} == {("dead", 2)}


async def test_a_locked_row_holds_up_neither_claims_nor_leases_of_others(
    settings: Settings, engine: AsyncEngine
) -> None:
    may_end = asyncio.Event()

    @task(queue="emails")
    async def wait_long(args: Greeting, ctx: Context) -> Outcome:
        await may_end.wait()
        return Done()

    short_leases = with_worker(settings, lease=parse_duration("1s"))
    async with running_worker(short_leases, [wait_long, do_nothing]):
        await order(engine, wait_long, 1, 2, 3)
        await eventually(lambda: _running(engine, 3))
        async with engine.begin() as somebody:
            await somebody.execute(LOCK_ROW, {"user_id": "2"})
            before = {run.args["user_id"]: run.lease_until for run in await runs(engine)}
            await order(engine, do_nothing, *range(20))
            await eventually(lambda: ended(engine, 20), what="the other queue goes on")
            await eventually(lambda: _renewed(engine, before, twice=2.5), what="leases outlast the lock")
        may_end.set()
        await eventually(lambda: ended(engine, 23))

    others = [run for run in await runs(engine) if run.task == "wait_long" and run.args["user_id"] != 2]
    assert [run.takeovers for run in others] == [0, 0]


async def _running(engine: AsyncEngine, wanted: int) -> bool:
    return (await states(engine)).get("running", 0) == wanted


async def _renewed(engine: AsyncEngine, before: Mapping[int, Any], twice: float) -> bool:
    """Whether the leases of the first and third run were renewed for longer than a lease lasts."""
    now = {run.args["user_id"]: run.lease_until for run in await runs(engine) if run.task == "wait_long"}
    return all((now[number] - before[number]).total_seconds() > twice for number in (1, 3))


async def test_a_worker_stops_in_time_while_the_database_is_away(settings: Settings, engine: AsyncEngine) -> None:
    never = asyncio.Event()

    @task(queue="users")
    async def wait_for_ever(args: Greeting, ctx: Context) -> Outcome:
        await never.wait()
        return Done()

    await order(engine, wait_for_ever, 1, 2, 3)
    async with link_to(settings.database.url, b"no such mark") as link:
        by_link = settings.database.model_copy(update={"url": link.url})
        changed = with_worker(settings, stop_deadline=parse_duration("1s")).model_copy(update={"database": by_link})
        async with asyncio.timeout(60), running_worker(changed, [wait_for_ever]):
            await eventually(lambda: _running(engine, 3))
            await link.cut()


async def test_a_claim_refused_by_a_live_lease_runs_when_the_leases_owner_has_died(
    settings: Settings, engine: AsyncEngine
) -> None:
    lost = Ledger(engine, "lost", parse_duration("2s"))
    command = command_for(do_nothing, 1)

    async with running_worker(settings, [do_nothing]) as parts:
        (claim,) = await lost.claim([Order(command, "users", command.caused_at)])
        async with engine.begin() as connection:
            await publish_command(connection, command, "users", None, None, why="test")
        refused = await eventually(lambda: _parked(parts.metrics.registry))
        await eventually(lambda: ended(engine, 1), what="it runs when the lease is over")

    assert isinstance(claim, Claim)
    assert refused
    (run,) = await runs(engine)
    assert (run.state, run.takeovers) == ("done", 1)


def _parked(registry: Any) -> float:
    return float(registry.get_sample_value("tailrace_ended_total", {"topic": "queue.users", "state": "parked"}) or 0)


async def test_many_dead_runs_in_a_row_pause_their_queue_and_readiness_says_so(
    settings: Settings, engine: AsyncEngine
) -> None:
    @task(queue="users")
    async def die(args: Greeting, ctx: Context) -> Outcome:
        return Dead("never")

    async with running_worker(with_worker(settings, pause_after_dead=3, concurrency=1), [die]) as parts:
        await order(engine, die, *range(30))
        problem = await eventually(lambda: parts.health.problems().get("queues"))
        paused = parts.queue_states.paused

    assert paused == {"users"}
    assert "tailrace queue resume users" in (problem or "")
    assert (await states(engine))["dead"] < 30
