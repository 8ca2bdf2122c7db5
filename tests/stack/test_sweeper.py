"""The sweeper on a real ledger: what was left behind runs again, and nothing else is put on its queue."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.commands import Command
from streams.claims import Ending
from streams.ledger import Ledger
from streams.metrics import Metrics
from streams.outbox import OutboxRow, put
from streams.settings import Settings
from streams.sweeper import Sweeper
from streams.sweeper_sql import COPIES
from tests.events import runs
from tests.greeting import count_effects, greet_user, make_effects_table
from tests.left_behind import LONG, OVER, claimed, command, copies, let_time_pass, submitted
from tests.waiting import eventually
from tests.workers import running_worker


@pytest.fixture
def sweeper(engine: AsyncEngine, settings: Settings) -> Sweeper:
    return Sweeper(engine, settings, Metrics())


async def test_a_run_of_a_lost_worker_whose_offset_was_committed_is_done_by_another(
    settings: Settings, engine: AsyncEngine, sweeper: Sweeper
) -> None:
    await make_effects_table(engine)
    await claimed(engine, OVER)  # and there is no record of it on any queue

    async with running_worker(settings, [greet_user]):
        assert await sweeper.sweep() <= 1  # the worker's own may have been first
        await eventually(lambda: _is_done(engine))

    (run,) = await runs(engine)
    assert (run.state, run.takeovers, await count_effects(engine)) == ("done", 1, 1)


async def test_a_waiting_run_whose_outbox_row_was_lost_is_done(
    settings: Settings, engine: AsyncEngine, sweeper: Sweeper
) -> None:
    await make_effects_table(engine)
    await submitted(engine, minutes_ago=11)

    async with running_worker(settings, [greet_user]):
        assert await sweeper.sweep() <= 1
        await eventually(lambda: _is_done(engine))

    (run,) = await runs(engine)
    assert (run.state, run.takeovers, await count_effects(engine)) == ("done", 0, 1)


async def _is_done(engine: AsyncEngine) -> bool:
    return all(run.state == "done" for run in await runs(engine))


async def test_the_copy_is_the_command_on_its_own_queue_with_its_key(engine: AsyncEngine, sweeper: Sweeper) -> None:
    wanted = command(7, attempt=3)
    await claimed(engine, OVER, wanted)

    assert await sweeper.sweep() == 1

    (copy,) = await copies(engine)
    assert msgspec.json.decode(copy.payload, type=Command) == wanted
    assert (copy.topic, copy.key) == ("queue.emails", b"the key")
    assert ["tailrace-task", "greet_user"] in copy.headers


async def test_the_copy_of_a_replays_run_stays_behind_live_work(engine: AsyncEngine, sweeper: Sweeper) -> None:
    await claimed(engine, OVER, command(7))
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE tailrace.task_runs SET replay = 3"))

    await sweeper.sweep()

    (copy,) = await copies(engine)
    assert ["tailrace-replay", "3"] in copy.headers


async def test_only_what_nobody_will_start_is_swept(engine: AsyncEngine, sweeper: Sweeper) -> None:
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    await claimed(engine, LONG, command(1))
    done = await claimed(engine, OVER, command(2))
    parked = await claimed(engine, OVER, command(3))
    ledger = Ledger(engine, "lost", LONG)
    async with engine.begin() as connection:
        await ledger.record(connection, done, Ending("done", outcome={}))
        await ledger.record(connection, parked, Ending("parked", next_attempt=2, scheduled_for=in_an_hour))
    await submitted(engine, 4, minutes_ago=9)

    assert await sweeper.sweep() == 0
    await let_time_pass(engine, 2)
    assert await sweeper.sweep() == 1

    (copy,) = await copies(engine)
    assert msgspec.json.decode(copy.payload, type=Command) == command(4)


@pytest.mark.parametrize("why", COPIES)
async def test_a_run_of_which_a_copy_waits_is_left_alone(engine: AsyncEngine, sweeper: Sweeper, why: str) -> None:
    claim = await claimed(engine, OVER)
    waiting = await submitted(engine, 8, minutes_ago=60)
    later = datetime.now(UTC) + timedelta(hours=1)
    async with engine.begin() as connection:
        for run_id in (claim.id, waiting.id):
            key = f"{why}:{run_id}:1"
            await put(connection, OutboxRow("queue.emails", None, b"{}", later, due_at=later, dedupe_key=key))

    assert await sweeper.sweep() == 0

    assert [copy.due_at for copy in await copies(engine)] == [later, later]
