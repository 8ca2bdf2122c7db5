"""Runs as an operator looks at them, by the commands."""

import json

from sqlalchemy.ext.asyncio import AsyncEngine

from streams.run_ids import RunId
from streams.settings import Settings
from tests.events import emit, records_of, runs, user_created
from tests.greeting import greet_user
from tests.operations import Environment, claimed, dead, say
from tests.waiting import eventually
from tests.workers import running_worker


async def test_runs_are_listed_by_task_state_queue_and_time(
    environment: Environment, engine: AsyncEngine, settings: Settings
) -> None:
    name = await dead(engine, settings, 1)
    running = await claimed(engine, settings, 2)

    async def listed(*options: str) -> list[str]:
        said = await say(environment, "runs", "list", "--json", *options)
        return [found["run"] for found in json.loads(said.out)]

    assert await listed() == [str(RunId(running.id, running.caused_at)), name]
    assert await listed("--state", "dead", "--queue", "emails") == [name]
    assert await listed("--task", "send_welcome_email", "--limit", "1") != [name]
    assert await listed("--until", "1h") == []
    table = await say(environment, "runs", "list", "--state", "dead")
    assert name in table.out
    assert "550 no" in table.out


async def test_an_unknown_run_is_said_to_be_unknown(environment: Environment) -> None:
    missing = "5f0c7e0e-8c3e-5d55-9f0e-0f3c6d5a7b11"

    alone = await say(environment, "runs", "show", missing)
    whole = await say(environment, "runs", "show", f"{missing}@2026-03-04T12:00:00Z")

    assert (alone.code, whole.code) == (1, 1)
    assert "is in none of the ledger's" in alone.errors
    assert "is not in the ledger; check the time behind the @" in whole.errors


async def test_a_dead_run_is_shown_with_the_place_of_its_letter(
    environment: Environment, engine: AsyncEngine, settings: Settings
) -> None:
    async with running_worker(settings, (greet_user,)):
        await emit(engine, user_created(2))
        await eventually(lambda: records_of(settings, "queue.emails.dlq"), what="a dead letter")
    (row,) = await runs(engine)

    shown = await say(environment, "runs", "show", str(row.id), "--json")
    letter = await say(environment, "dlq", "show", json.loads(shown.out)["dead_letter"])

    assert json.loads(shown.out)["dead_letter"] == "queue.emails.dlq:0:0"
    assert str(row.id) in letter.out
