"""What starts next on a worker: shares of the queues, pauses, concurrency keys, long runs."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.topics import QUEUES
from streams import pipeline
from streams.durations import parse_duration
from streams.queue_states import pause, resume
from streams.settings import Settings
from streams.task import Concurrency, Context, Done, Outcome, RetryPolicy, Task, TryAgain, task
from tests.events import runs, states
from tests.greeting import Greeting, ended
from tests.orders import order, with_worker
from tests.waiting import eventually
from tests.workers import running_worker


def one_task_a_queue(started: list[str], may_start: asyncio.Event) -> list[Task]:
    def declare(queue: str) -> Task:
        async def note_start(args: Greeting, ctx: Context) -> Outcome:
            started.append(queue)
            await may_start.wait()
            return Done()

        note_start.__name__ = f"note_{queue}"
        return task(queue=queue)(note_start)

    return [declare(queue.name) for queue in QUEUES]


async def test_with_all_queues_backlogged_starts_are_shared_by_priority(
    settings: Settings, engine: AsyncEngine
) -> None:
    started: list[str] = []
    may_start, backlog, window = asyncio.Event(), 200, 33 * 15
    tasks = one_task_a_queue(started, may_start)
    for each in tasks:
        await order(engine, each, *range(backlog))

    async with running_worker(with_worker(settings, concurrency=4), tasks) as parts:
        await eventually(lambda: _consumed(parts.metrics.registry) == backlog * len(QUEUES))
        may_start.set()
        await eventually(lambda: len(started) >= backlog * len(QUEUES))

    share = Counter(started[4 : 4 + window])
    for queue in QUEUES:
        assert share[queue.name] == pytest.approx(window * queue.priority / 33, rel=0.1, abs=1), share


def _consumed(registry: Any) -> float:
    topics = (f"queue.{queue.name}" for queue in QUEUES)
    return sum(registry.get_sample_value("tailrace_consumed_total", {"topic": topic}) or 0 for topic in topics)


async def test_a_queue_starts_although_the_long_runs_of_another_fill_the_worker(
    settings: Settings, engine: AsyncEngine
) -> None:
    may_end = asyncio.Event()

    @task(queue="maintenance")
    async def run_long(args: Greeting, ctx: Context) -> Outcome:
        await may_end.wait()
        return Done()

    @task(queue="emails")
    async def run_short(args: Greeting, ctx: Context) -> Outcome:
        return Done()

    async with running_worker(with_worker(settings, concurrency=2), [run_long, run_short]):
        await order(engine, run_long, *range(20))
        await eventually(lambda: _running(engine, 2))
        await order(engine, run_short, 1)
        await eventually(lambda: ended(engine, 1), what="the short run ended while the long ones run")
        may_end.set()
        await eventually(lambda: ended(engine, 21))


async def _running(engine: AsyncEngine, wanted: int) -> bool:
    return (await states(engine)).get("running", 0) >= wanted


async def test_a_paused_queue_starts_nothing_until_it_is_resumed_also_after_a_restart(
    settings: Settings, engine: AsyncEngine
) -> None:
    started: list[str] = []
    go_on = asyncio.Event()
    go_on.set()
    emails, users = (each for each in one_task_a_queue(started, go_on) if each.queue in ("emails", "users"))

    async with running_worker(settings, [emails, users]) as parts:
        await _set_paused(engine, "emails", paused=True)
        await eventually(lambda: "emails" in parts.queue_states.paused, within=2)
        await order(engine, emails, *range(20))
        await order(engine, users, 1)
        await eventually(lambda: ended(engine, 1))
    async with running_worker(settings, [emails, users]):
        await order(engine, users, 2)
        await eventually(lambda: ended(engine, 2))
        while_paused = Counter(started)
        await _set_paused(engine, "emails", paused=False)
        await eventually(lambda: ended(engine, 22))

    assert while_paused == {"users": 2}


async def _set_paused(engine: AsyncEngine, queue: str, *, paused: bool) -> None:
    async with engine.begin() as connection:
        if paused:
            await pause(connection, queue, "for a test")
        else:
            await resume(connection, queue)


async def test_no_more_run_at_once_for_a_concurrency_key_than_it_allows(
    settings: Settings, engine: AsyncEngine
) -> None:
    now: Counter[int] = Counter()
    most: Counter[int] = Counter()

    @task(queue="users", concurrency=Concurrency(key=lambda args: f"post:{int(args.user_id) % 2}", limit=2))
    async def change_post(args: Greeting, ctx: Context) -> Outcome:
        key = int(args.user_id) % 2
        now[key] += 1
        most[key] = max(most[key], now[key])
        await eventually(lambda: most[key] >= 2)
        now[key] -= 1
        return Done()

    async with running_worker(settings, [change_post]), running_worker(settings, [change_post]):
        await order(engine, change_post, *range(10))
        await eventually(lambda: ended(engine, 10), within=60)

    assert most == {0: 2, 1: 2}
    assert {run.attempt for run in await runs(engine)} == {1}


async def test_a_long_run_holds_no_offset_back_and_is_found_again_when_its_worker_stops(
    settings: Settings, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "LONG_RUN", parse_duration("100ms"))
    may_end, begun = asyncio.Event(), asyncio.Event()
    changed = with_worker(settings, lease=parse_duration("1s"), stop_deadline=parse_duration("100ms"))

    @task(queue="media")
    async def convert_video(args: Greeting, ctx: Context) -> Outcome:
        begun.set()
        await may_end.wait()
        return Done()

    async with running_worker(changed, [convert_video]) as first:
        await order(engine, convert_video, 1)
        await begun.wait()
        await eventually(lambda: _parked(first.metrics.registry) == 1, what="its offset is acknowledged")
        balance = first.watermark.balance()
    may_end.set()
    async with running_worker(changed, [convert_video]):
        await eventually(lambda: ended(engine, 1))

    (run,) = await runs(engine)
    assert (run.state, run.attempt, run.takeovers) == ("done", 1, 0)
    assert balance == 0


def _parked(registry: Any) -> float:
    return float(registry.get_sample_value("tailrace_ended_total", {"topic": "queue.media", "state": "parked"}) or 0)


async def test_one_result_that_cannot_be_stored_spoils_no_other_of_its_batch(
    settings: Settings, engine: AsyncEngine
) -> None:
    @task(queue="users", retry=RetryPolicy(max_attempts=1))
    async def return_text(args: Greeting, ctx: Context) -> Outcome:
        return Done({"text": "\x00" if args.user_id == 7 else "good"})

    async with running_worker(settings, [return_text]):
        await order(engine, return_text, *range(50))
        await eventually(lambda: ended(engine, 50))

    assert await states(engine) == {"done": 49, "dead": 1}


async def test_a_worker_serves_only_the_queues_that_it_was_told(settings: Settings, engine: AsyncEngine) -> None:
    started: list[str] = []
    go_on = asyncio.Event()
    go_on.set()
    tasks: Sequence[Task] = one_task_a_queue(started, go_on)
    emails, users = (each for each in tasks if each.queue in ("emails", "users"))
    await order(engine, emails, *range(20))
    await order(engine, users, *range(20))

    async with running_worker(with_worker(settings, queues="users"), tasks):
        await eventually(lambda: ended(engine, 20))
        alone = set(started)
        async with running_worker(with_worker(settings, queues="emails,media"), tasks):
            await eventually(lambda: ended(engine, 40), within=60)

    assert alone == {"users"}


async def test_what_an_effect_asks_to_wait_goes_before_the_policy(settings: Settings, engine: AsyncEngine) -> None:
    tried: list[int] = []

    async def refuse_once(_: Any) -> None:
        tried.append(1)
        if len(tried) == 1:
            raise TryAgain("429 Too Many Requests", after=parse_duration("50ms"))

    @task(queue="users", retry=RetryPolicy(max_attempts=2, first=parse_duration("1h")))
    async def call_partner(args: Greeting, ctx: Context) -> Outcome:
        return Done(effect=refuse_once)

    async with running_worker(settings, [call_partner]):
        await order(engine, call_partner, 1)
        await eventually(lambda: ended(engine, 1))

    (run,) = await runs(engine)
    assert (run.state, run.attempt) == ("done", 2)
    assert msgspec.to_builtins(run.error) is None
