"""From event to effect, on real Kafka and PostgreSQL, with tasks made for the test."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.commands import Command
from schemas.events import UserCreated
from streams.settings import Settings
from streams.task import Context, Done, Outcome, RetryPolicy, task
from tests.events import emit, records_of, runs, states, user_created
from tests.greeting import Greeting, count_effects, ended, greet_user, greeting, make_effects_table
from tests.waiting import eventually
from tests.workers import running_worker


@pytest.fixture
async def effects(engine: AsyncEngine) -> AsyncEngine:
    await make_effects_table(engine)
    return engine


async def test_every_outcome_is_recorded_and_nothing_is_lost(settings: Settings, effects: AsyncEngine) -> None:
    async with running_worker(settings, [greet_user]) as parts:
        await emit(effects, *(user_created(number) for number in range(1, 9)))
        await eventually(lambda: ended(effects, 8), what="8 runs ended")
        balance = parts.watermark.balance()

    found = {run.args["user_id"]: run for run in await runs(effects)}
    assert {number: run.state for number, run in found.items()} == {
        1: "skipped", 2: "dead", 3: "dead", 4: "dead", 5: "dead", 6: "done", 7: "done", 8: "done",
    }  # fmt: skip
    assert {number: run.attempt for number, run in found.items()} == {1: 1, 2: 1, 3: 3, 4: 3, 5: 1, 6: 2, 7: 1, 8: 1}
    assert found[7].outcome == {"greeted": 7, "rows": 1}
    assert found[1].outcome == {"reason": "nobody to greet"}
    assert "boom" in found[4].error
    assert await count_effects(effects) == 3
    assert balance == 0


async def test_a_dead_command_is_a_dead_letter_with_the_reason_in_its_headers(
    settings: Settings, effects: AsyncEngine
) -> None:
    async with running_worker(settings, [greet_user]):
        await emit(effects, user_created(4))
        (letter,) = await eventually(lambda: records_of(settings, "queue.emails.dlq"))

    headers = dict(letter.headers)
    assert b"gave up after 3 attempts" in headers["tailrace-reason"]
    assert b"boom" in headers["tailrace-reason"]
    assert (headers["tailrace-topic"], headers["tailrace-task"]) == (b"queue.emails", b"greet_user")
    assert msgspec.json.decode(letter.value, type=Command).args == {"user_id": 4}


async def test_a_repeated_event_does_nothing_twice(settings: Settings, effects: AsyncEngine) -> None:
    event = user_created(7)

    async with running_worker(settings, [greet_user]) as parts:
        await emit(effects, *[event] * 20)
        await eventually(lambda: _taken(parts.metrics.registry, "queue.emails", 20))

    assert await states(effects) == {"done": 1}
    assert await count_effects(effects) == 1


def _taken(registry: Any, topic: str, wanted: int) -> bool:
    states = ("done", "skipped", "duplicate", "dead", "parked")
    ended = [registry.get_sample_value("tailrace_ended_total", {"topic": topic, "state": s}) or 0 for s in states]
    return sum(ended) >= wanted


async def test_offsets_are_committed_in_order_up_to_what_has_ended(settings: Settings, effects: AsyncEngine) -> None:
    async with running_worker(settings, [greet_user]):
        await emit(effects, *(user_created(number) for number in range(10, 60)))
        await eventually(lambda: ended(effects, 50))

    async with running_worker(settings, [greet_user]) as again:
        await emit(effects, user_created(60))
        await eventually(lambda: ended(effects, 51))
        repeated = again.metrics.registry.get_sample_value(
            "tailrace_ended_total", {"topic": "queue.emails", "state": "duplicate"}
        )

    assert not repeated, "a worker that stopped in order leaves nothing to be delivered again"


async def test_a_run_longer_than_its_timeout_is_tried_again(settings: Settings, effects: AsyncEngine) -> None:
    never = asyncio.Event()

    @task(queue="users", on=UserCreated, args=greeting, retry=RetryPolicy(1), timeout=timedelta(milliseconds=50))
    async def wait_for_ever(args: Greeting, ctx: Context) -> Outcome:
        await never.wait()
        return Done()

    async with running_worker(settings, [wait_for_ever]):
        await emit(effects, user_created(1))
        await eventually(lambda: ended(effects, 1))

    (run,) = await runs(effects)
    assert "not done within" in run.error
