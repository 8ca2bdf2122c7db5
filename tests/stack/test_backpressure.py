"""A slow run holds back only its own partition's offsets, and no more is taken than the cap."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.events import UserCreated
from streams.settings import Settings
from streams.task import Context, Done, Outcome, task
from tests.events import emit, states, user_created
from tests.greeting import Greeting, greeting
from tests.waiting import eventually
from tests.workers import running_worker

CAP = 20


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "TAILRACE_WORKER__MAX_UNACKNOWLEDGED": str(CAP)}


async def test_behind_a_slow_run_its_partition_pauses_at_the_cap_and_then_all_is_done(
    settings: Settings, engine: AsyncEngine
) -> None:
    may_end = asyncio.Event()

    @task(queue="emails", on=UserCreated, args=greeting)
    async def greet_slowly(args: Greeting, ctx: Context) -> Outcome:
        if args.user_id == 0:
            await may_end.wait()
        return Done()

    users = 300
    async with running_worker(settings, [greet_slowly]) as parts:
        await emit(engine, *(user_created(number) for number in range(users)))
        sample = parts.metrics.registry.get_sample_value
        await eventually(lambda: sample("tailrace_paused_partitions"), what="a partition pauses")
        others_done = await eventually(lambda: _done(engine, users // 2))
        may_end.set()
        await eventually(lambda: _done(engine, users))
        await eventually(lambda: sample("tailrace_paused_partitions") == 0)

        assert others_done
        assert parts.watermark.balance() == 0


async def _done(engine: AsyncEngine, wanted: int) -> bool:
    return (await states(engine)).get("done", 0) >= wanted
