"""``tailrace run``: a task once, here and now, with all that a worker does for it."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from os import environ
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.commands import Command, command_id
from schemas.envelope import Identity
from streams.claims import Order
from streams.ledger import Ledger
from streams.run_here import NotNow, run_here
from streams.settings import Settings
from streams.task import Concurrency, Context, Done, Outcome, task
from tests.events import runs
from tests.greeting import greet_user
from tests.operations import WELCOME, Environment, add_user, is_in, outbox, say
from tests.waiting import eventually


async def test_a_task_that_is_run_by_hand_says_what_came_of_it(environment: Environment, engine: AsyncEngine) -> None:
    await add_user(engine, 7)

    said = await say(environment, "run", *WELCOME)

    result = json.loads(said.out)
    assert (said.code, result["state"], result["error"]) == (0, "done", None), said
    (row,) = await runs(engine)
    assert (row.state, row.outcome) == ("done", result["outcome"])
    assert row.worker.startswith("cli-")


async def test_a_task_with_nothing_to_do_is_no_failure(environment: Environment) -> None:
    said = await say(environment, "run", *WELCOME)

    assert (said.code, json.loads(said.out)["state"]) == (0, "skipped")
    assert json.loads(said.out)["outcome"] == {"reason": "user 7 does not exist"}


async def test_a_run_by_hand_that_fails_for_now_is_left_to_the_workers(
    environment: Environment, engine: AsyncEngine
) -> None:
    await add_user(engine, 7)

    said = await say({**environment, "TAILRACE_SMTP__URL": "smtp://127.0.0.1:9"}, "run", *WELCOME)

    result = json.loads(said.out)
    assert (said.code, result["state"]) == (1, "parked"), said
    assert "the workers try it again at" in said.errors
    (row,) = await runs(engine)
    assert await outbox(engine) == [("queue.emails", f"retry:{row.id}:2")]


@asynccontextmanager
async def silent_mail_server() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Takes connections and never says a word; its URL, and an event for the first connection."""
    connected = asyncio.Event()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    async with server:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", connected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_run_by_hand_that_is_stopped_is_cancelled(
    number: signal.Signals, environment: Environment, engine: AsyncEngine
) -> None:
    await add_user(engine, 7)

    async with silent_mail_server() as (url, connected):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "streams.cli", "run", *WELCOME),
            env={**environ, **environment, "TAILRACE_SMTP__URL": url},
            stdout=asyncio.subprocess.PIPE,
        )
        await asyncio.wait_for(connected.wait(), 30)
        process.send_signal(number)
        out, _ = await asyncio.wait_for(process.communicate(), 30)

    result: dict[str, Any] = json.loads(out)
    assert (process.returncode, result["state"], result["error"]) == (1, "cancelled", "stopped while it ran by hand")
    assert await is_in(engine, "cancelled")


class Name(msgspec.Struct):
    """Whom it is about."""

    name: str


@task(queue="users", concurrency=Concurrency(key=lambda args: args.name))
async def outlive_its_lease(args: Name, ctx: Context) -> Outcome:
    """Done when its lease has been extended."""
    lease = text("SELECT lease_until FROM tailrace.task_runs WHERE id = :id")

    async def until() -> datetime:
        async with ctx.engine.connect() as connection:
            found: datetime = (await connection.execute(lease, {"id": ctx.command.id})).scalar_one()
            return found

    first = await until()

    async def is_extended() -> bool:
        return await until() > first

    await eventually(is_extended, within=10)
    return Done()


async def test_a_run_by_hand_keeps_its_lease_for_as_long_as_it_takes(settings: Settings, engine: AsyncEngine) -> None:
    hasty = settings.worker.model_copy(update={"lease": timedelta(seconds=1)})

    ended = await run_here(settings.model_copy(update={"worker": hasty}), engine, outlive_its_lease, {"name": "ada"})

    assert (ended["state"], ended["takeovers"]) == ("done", 0)


async def test_a_run_by_hand_keeps_to_the_limit_of_its_concurrency_key(settings: Settings, engine: AsyncEngine) -> None:
    now, cause = datetime.now(UTC), Identity("/test", "test", "1")
    name = outlive_its_lease.name
    command = Command(id=command_id(cause, name), task=name, args={"name": "ada"}, caused_at=now, cause=cause)
    await Ledger(engine, "w1", settings.worker.lease).claim([Order(command, "users", now, concurrency_key="ada")])

    with pytest.raises(NotNow, match="as many runs of outlive_its_lease as may go on at once for 'ada' do"):
        await run_here(settings, engine, outlive_its_lease, {"name": "ada"})

    assert len(await runs(engine)) == 1


async def test_a_run_by_hand_that_dies_leaves_a_dead_letter(settings: Settings, engine: AsyncEngine) -> None:
    ended = await run_here(settings, engine, greet_user, {"user_id": 2})

    assert (ended["state"], ended["error"]) == ("dead", "never")
    assert [topic for topic, _ in await outbox(engine)] == ["queue.emails.dlq"]
