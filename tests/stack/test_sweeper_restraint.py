"""The sweeper holds back: no flood of copies, no work for a queue that stands still, no time taken from others."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.claims import Ending
from streams.ledger import Ledger
from streams.metrics import Metrics
from streams.outbox import OutboxRow, put
from streams.settings import Settings
from streams.sweeper import AT_MOST, Sweeper
from tests.left_behind import LONG, OVER, change, claimed, command, copies, let_time_pass, publish_copies, submitted


@pytest.fixture
def sweeper(engine: AsyncEngine, settings: Settings) -> Sweeper:
    return Sweeper(engine, settings, Metrics())


async def test_a_copy_that_waits_on_a_long_queue_is_followed_by_ever_fewer(
    engine: AsyncEngine, sweeper: Sweeper
) -> None:
    await claimed(engine, OVER, command(1))
    await submitted(engine, 2, minutes_ago=11)
    swept_at = []

    for minute in range(0, 24 * 60, 20):
        swept_at += [minute] * await sweeper.sweep()
        await publish_copies(engine)
        await let_time_pass(engine, 20)

    assert swept_at == [minute for minute in (0, 20, 60, 140, 300, 620, 1260) for _run in range(2)]


async def test_one_sweep_puts_no_more_than_a_thousand_on_their_queues(engine: AsyncEngine, sweeper: Sweeper) -> None:
    await change(
        engine,
        """INSERT INTO tailrace.task_runs (id, caused_at, task, queue, state, attempt, generation, args, scheduled_for)
           SELECT gen_random_uuid(), now(), 'greet_user', 'emails', 'queued', 1, 0, '{"user_id": 7}',
                  now() - interval '1 hour' FROM generate_series(1, :count)""",
        count=AT_MOST + 500,
    )

    assert [await sweeper.sweep() for _ in range(3)] == [AT_MOST, 500, 0]
    assert len(await copies(engine)) == AT_MOST + 500


async def test_a_paused_queue_is_left_alone_and_has_time_to_work_when_it_goes_on(
    engine: AsyncEngine, sweeper: Sweeper
) -> None:
    await change(engine, "INSERT INTO tailrace.queues (name, paused) VALUES ('emails', true)")
    await claimed(engine, OVER, command(1))
    await submitted(engine, 2, minutes_ago=60)
    while_paused = await sweeper.sweep()

    await change(engine, "UPDATE tailrace.queues SET paused = false, changed_at = now()")
    when_it_goes_on = await sweeper.sweep()
    await let_time_pass(engine, 11)

    assert (while_paused, when_it_goes_on, await sweeper.sweep()) == (0, 1, 1)


async def test_of_many_sweepers_one_sweeps(engine: AsyncEngine, settings: Settings) -> None:
    for number in range(20):
        await claimed(engine, OVER, command(number))
    metrics = Metrics()

    swept = await asyncio.gather(*(Sweeper(engine, settings, metrics).sweep() for _ in range(5)))

    assert sorted(swept) == [0, 0, 0, 0, 20]
    assert len(await copies(engine)) == 20
    assert metrics.registry.get_sample_value("tailrace_swept_total", {"state": "running"}) == 20


async def test_a_run_that_is_being_recorded_is_not_waited_for(engine: AsyncEngine, sweeper: Sweeper) -> None:
    slow = await claimed(engine, OVER, command(1))
    await claimed(engine, OVER, command(2))

    async with engine.begin() as recording:
        await Ledger(engine, "lost", LONG).record(recording, slow, Ending("done", outcome={}))
        swept = await asyncio.wait_for(sweeper.sweep(), 5)

    assert swept == 1
    assert await sweeper.sweep() == 0


async def test_a_run_that_its_own_worker_could_not_end_is_swept_again_after_it_was_claimed_again(
    engine: AsyncEngine, sweeper: Sweeper
) -> None:
    await claimed(engine, OVER)
    first = await sweeper.sweep()
    await publish_copies(engine)

    await claimed(engine, OVER)  # by the worker that got the copy, which is lost too

    assert (first, await sweeper.sweep()) == (1, 1)


async def test_while_the_relay_is_behind_only_lost_runs_are_swept(engine: AsyncEngine, sweeper: Sweeper) -> None:
    await submitted(engine, 1, minutes_ago=60)
    await claimed(engine, OVER, command(2))
    two_minutes_ago = datetime.now(UTC) - timedelta(minutes=2)
    async with engine.begin() as connection:
        await put(connection, OutboxRow("queue.emails", None, b"{}", two_minutes_ago, due_at=two_minutes_ago))

    while_behind = await sweeper.sweep()
    await publish_copies(engine)

    assert (while_behind, await sweeper.sweep()) == (1, 1)


async def test_after_a_look_that_took_long_the_sweeper_rests(engine: AsyncEngine, settings: Settings) -> None:
    made, began, ended, too_early, due = 0.0, 0.0, 2.0, 30.0, 40.0
    clock = iter([made, began, ended, too_early, due, due])
    sweeper = Sweeper(engine, settings, Metrics(), now=lambda: next(clock))
    await sweeper.sweep()
    await submitted(engine, minutes_ago=11)

    assert [await sweeper.sweep(), await sweeper.sweep()] == [0, 1]
