"""Runs as an operator works with them, by the commands: enqueued, cancelled and retried."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from agents import TASKS
from agents.send_welcome_email import send_welcome_email
from schemas.commands import Command
from streams.claims import Finished, Order
from streams.enqueueing import Wish, enqueue
from streams.ledger import Ledger
from streams.run_ids import RunId
from streams.settings import Settings
from tests.events import runs
from tests.operations import WELCOME, Environment, add_user, claimed, dead, is_in, outbox, say
from tests.waiting import eventually
from tests.workers import running_worker


async def test_what_is_enqueued_waits_in_ledger_and_outbox_and_is_shown_by_its_name(
    environment: Environment, engine: AsyncEngine
) -> None:
    said = await say(environment, "enqueue", *WELCOME)

    assert (said.code, said.errors) == (0, "queued on emails\n")
    (row,) = await runs(engine)
    assert (row.state, row.task, row.queue, row.args) == ("queued", "send_welcome_email", "emails", {"user_id": 7})
    assert row.cause["source"] == "/cli"
    assert await outbox(engine) == [("queue.emails", f"submit:{row.id}:1")]
    for name in (said.run, str(row.id)):
        shown = await say(environment, "runs", "show", name, "--json")
        assert json.loads(shown.out)["run"] == said.run, shown


async def test_an_enqueued_run_is_run_by_a_worker(
    environment: Environment, engine: AsyncEngine, settings: Settings
) -> None:
    await add_user(engine, 7)

    async with running_worker(settings, TASKS):
        said = await say(environment, "enqueue", *WELCOME, "--queue", "default")
        assert said.code == 0, said
        await eventually(lambda: is_in(engine, "done"), what="the run is done")

    listed = await say(environment, "runs", "list", "--queue", "default", "--json")
    assert [found["run"] for found in json.loads(listed.out)] == [said.run]


async def test_a_key_is_enqueued_once(environment: Environment, engine: AsyncEngine) -> None:
    first = await say(environment, "enqueue", *WELCOME, "--key", "monday")
    again = await say(environment, "enqueue", *WELCOME, "--key", "monday")
    other = await say(environment, "enqueue", "send_welcome_email", "--args", '{"user_id": 8}', "--key", "monday")

    assert [first.code, again.code, other.code] == [0, 0, 0]
    assert first.run == again.run == other.run
    assert again.errors == "exists already: it is queued, and nothing was enqueued\n"
    assert other.errors == "exists already, with other arguments: it is queued, and nothing was enqueued\n"
    assert len(await runs(engine)) == len(await outbox(engine)) == 1


async def test_a_key_is_known_in_later_hours_and_months(engine: AsyncEngine) -> None:
    wish = Wish(send_welcome_email, {"user_id": 7}, "emails", key="monday")
    first = await enqueue(engine, wish)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE tailrace.task_runs SET caused_at = caused_at - interval '1000 hours'"))

    again = await enqueue(engine, wish)

    assert again.state == "queued"
    assert again.run == RunId(first.run.id, first.run.caused_at - timedelta(hours=1000))
    assert len(await runs(engine)) == 1


async def test_of_many_at_once_with_one_key_one_is_enqueued(engine: AsyncEngine) -> None:
    wish = Wish(send_welcome_email, {"user_id": 7}, "emails", key="monday")

    granted = await asyncio.gather(*(enqueue(engine, wish) for _ in range(8)))

    assert sorted(found.state or "new" for found in granted) == ["new", *["queued"] * 7]
    assert len({found.run for found in granted}) == len(await outbox(engine)) == 1


async def test_a_waiting_run_is_cancelled_with_its_command_and_can_be_given_back(
    environment: Environment, engine: AsyncEngine
) -> None:
    enqueued = await say(environment, "enqueue", *WELCOME, "--in", "1h")

    cancelled = await say(environment, "runs", "cancel", enqueued.run)
    assert (cancelled.code, cancelled.out) == (0, f"{enqueued.run} cancelled\n")
    assert await is_in(engine, "cancelled")
    assert await outbox(engine) == []

    again = await say(environment, "runs", "cancel", enqueued.run)
    assert again.code == 1
    assert "not cancelled: it is cancelled since" in again.errors

    retried = await say(environment, "runs", "retry", enqueued.run)
    assert (retried.code, retried.out) == (0, f"{enqueued.run} retried\n")
    (row,) = await runs(engine)
    assert (row.state, row.attempt) == ("queued", 2)
    assert await outbox(engine) == [("queue.emails", f"requeue:{row.id}:2")]


async def test_the_command_of_a_cancelled_run_that_still_arrives_is_a_duplicate(
    environment: Environment, engine: AsyncEngine, settings: Settings
) -> None:
    enqueued = await say(environment, "enqueue", *WELCOME)
    async with engine.connect() as connection:
        payload = (await connection.execute(text("SELECT payload FROM tailrace.outbox"))).scalar_one()
    on_its_way = Order(msgspec.json.decode(payload, type=Command), "emails", datetime.now(UTC))

    await say(environment, "runs", "cancel", enqueued.run)

    assert await Ledger(engine, "w1", settings.worker.lease).claim([on_its_way]) == [Finished()]
    assert await is_in(engine, "cancelled")


async def test_a_run_that_runs_is_neither_cancelled_nor_retried(
    environment: Environment, engine: AsyncEngine, settings: Settings
) -> None:
    claim = await claimed(engine, settings, 7)
    name = str(RunId(claim.id, claim.caused_at))

    cancelled = await say(environment, "runs", "cancel", name)
    retried = await say(environment, "runs", "retry", name)

    assert (cancelled.code, retried.code) == (1, 1)
    assert f"{name} not cancelled: it runs on w1 since" in cancelled.errors
    assert f"{name} not retried: it runs on w1 since" in retried.errors
    assert await is_in(engine, "running")


async def test_dead_runs_are_retried_by_what_they_have_in_common_and_a_dry_run_changes_nothing(
    environment: Environment, engine: AsyncEngine, settings: Settings
) -> None:
    names = {await dead(engine, settings, number) for number in range(3)}
    chosen = ("runs", "retry", "--task", "send_welcome_email", "--since", "1h")

    dry = await say(environment, *chosen, "--dry-run")
    assert {line.split()[0] for line in dry.out.splitlines()} == names
    assert dry.errors == "3 would be retried\n"
    assert await is_in(engine, "dead")

    retried = await say(environment, *chosen)
    assert (retried.code, retried.errors) == (0, "3 retried\n")
    assert {(row.state, row.attempt) for row in await runs(engine)} == {("queued", 2)}
    assert len(await outbox(engine)) == 3

    none = await say(environment, *chosen)
    assert (none.code, none.out, none.errors) == (0, "", "0 retried\n")
