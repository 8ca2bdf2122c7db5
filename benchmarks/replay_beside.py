"""Replays beside live work: `python -m benchmarks.replay_beside [--events 100000] [--rate 100] [--seconds 12]`.

One worker, as `tailrace worker`. Live events come at a steady rate, in `--rounds` rounds: alone; while a replay reads
so many events that are all done; while one submits as many commands that were never done, on the same queue. A round
follows the other because one machine is not as fast as it was a minute ago. The times of a live event are from its
publishing until it is routed, its run starts, and that is recorded. The work itself is small: posts that the backend
does not have. Prints p50 and p99 over all rounds, their ratios to those alone, and how fast the replays were. So many
events should be more than the seconds leave time for.
"""

import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine

from agents import TASKS
from benchmarks.command import run_benchmark
from benchmarks.replay import events, fill
from schemas.backend import backend_tables
from schemas.events import PostUploaded
from schemas.topics import IMPORTED_SUFFIX
from streams.db import autocommit, engine_for
from streams.devstack.processes import Child, Program, free_port
from streams.devstack.stack import ANY_PORTS, Stack
from streams.kafka_client import client_options, full_name, producer_for
from streams.migrations.run import migrate
from streams.publisher import AsyncPublisher, record_of
from streams.replay.request import Request
from streams.replay.starting import start_replay
from streams.replay.store import change
from streams.settings import Settings
from streams.topics import create_topics

WARM_UP = timedelta(seconds=15)

# How long live runs took, those caused in this time: from the event's time to their command, their start, their record.
TOOK = text("""
    SELECT extract(epoch FROM enqueued_at - caused_at) * 1000 AS routed,
           extract(epoch FROM started_at - caused_at) * 1000 AS started,
           extract(epoch FROM finished_at - caused_at) * 1000 AS done
      FROM tailrace.task_runs
     WHERE replay IS NULL AND state = 'skipped' AND caused_at >= :begin AND caused_at < :end
""")
REPLAYED = text("""
    SELECT coalesce(CAST(counts ->> 'read' AS int), 0) AS read, state,
           (SELECT count(*) FROM tailrace.task_runs WHERE replay = :id AND finished_at IS NOT NULL) AS done
      FROM tailrace.replays WHERE id = :id
""")

SETTLE = 6.0
"""Seconds in which a replay finds its pace before it is measured."""

NUMBERS = itertools.count()

TOPIC_OF = {"reading": "user.created" + IMPORTED_SUFFIX, "submitting": "post.uploaded" + IMPORTED_SUFFIX}

Times = dict[str, float]
Rows = list[Row[Any]]


def post(number: int, created_at: datetime) -> PostUploaded:
    """One with a picture, by one of a hundred authors."""
    return PostUploaded(
        post_id=number, author_id=number % 100, created_at=created_at, visibility="public", image=f"p/{number}.jpg"
    )


async def live(settings: Settings, engine: AsyncEngine, rate: int, seconds: float) -> Rows:
    """Publish at this rate for so long; what came of it."""
    begin = datetime.now(UTC)
    async with AsyncPublisher(**client_options(settings.kafka)) as publisher:
        sending, due = set(), time.perf_counter()
        for _ in range(int(rate * seconds)):
            task = asyncio.create_task(_publish(publisher, next(NUMBERS)))
            sending.add(task)
            task.add_done_callback(sending.discard)
            due += 1 / rate
            await asyncio.sleep(max(0, due - time.perf_counter()))
        await asyncio.gather(*sending)
    end = datetime.now(UTC)
    found: Rows = []
    while len(found) < int(rate * seconds):
        await asyncio.sleep(0.2)
        async with autocommit(engine) as connection:
            found = list(await connection.execute(TOOK, {"begin": begin, "end": end}))
    return found


def times_of(rows: Rows) -> Times:
    """Median and p99 of each step, in ms."""
    times = {"events": float(len(rows))}
    for step in ("routed", "started", "done"):
        hundredths = statistics.quantiles((float(getattr(row, step)) for row in rows), n=100)
        times |= {f"{step}_p50_ms": round(hundredths[49], 1), f"{step}_p99_ms": round(hundredths[98], 1)}
    return times


async def _publish(publisher: AsyncPublisher, number: int) -> None:
    await publisher.publish(post(number, datetime.now(UTC)))


async def import_events(settings: Settings, count: int) -> None:
    """Events that only a replay reads."""
    producer, now = producer_for(settings.kafka, linger_ms=20), datetime.now(UTC)
    begin = now - timedelta(hours=1)
    await producer.start()
    under_way = []
    for number in range(count):
        topic, key, value, headers, timestamp = record_of(
            post(10_000_000 + number, begin + timedelta(milliseconds=number)), now
        )
        name = full_name(settings.kafka, topic + IMPORTED_SUFFIX)
        under_way.append(await producer.send(name, value, key=key, headers=headers, timestamp_ms=timestamp))
    await asyncio.gather(*under_way)
    await producer.stop()


async def measure(count: int, rate: int, seconds: float, rounds: int) -> dict[str, object]:
    """On servers and with a worker of its own."""
    with tempfile.TemporaryDirectory() as folder:
        async with Stack(Path(folder), ports=ANY_PORTS) as stack:
            await migrate(stack.database_url)
            variables = stack.environment() | {
                "TAILRACE_WORKER__PORT": str(free_port()),
                "TAILRACE_LOG__LEVEL": "warning",
                # Nothing is rendered here, so the queue need not wait for processes that render.
                "TAILRACE_WORKER__QUEUE_CONCURRENCY": '{"media": 16}',
            }
            settings = Settings.load({k: v for k, v in variables.items() if k.startswith("TAILRACE_")})
            await create_topics(settings)
            engine = engine_for(settings.database)
            async with engine.begin() as connection:
                await connection.run_sync(backend_tables().metadata.create_all)
            await import_events(settings, count)
            await fill(settings, events(count), IMPORTED_SUFFIX)
            argv = (sys.executable, "-m", "streams.cli", "worker")
            worker = await Child.start(Program("worker", argv, Path(folder) / "worker.log", variables))
            try:
                return await _rounds(settings, engine, rate, seconds, rounds)
            finally:
                await worker.stop(timedelta(seconds=15))
                await engine.dispose()


async def _rounds(settings: Settings, engine: AsyncEngine, rate: int, seconds: float, rounds: int) -> dict[str, object]:
    await live(settings, engine, rate, WARM_UP.total_seconds())
    found: dict[str, Rows] = {"alone": [], "reading": [], "submitting": []}
    speeds: dict[str, list[Times]] = {"reading": [], "submitting": []}
    for _ in range(rounds):
        found["alone"] += await live(settings, engine, rate, seconds)
        for name, measured in speeds.items():
            rows, speed = await _beside(settings, engine, rate, seconds, TOPIC_OF[name])
            found[name] += rows
            measured.append(speed)
    found["alone"] += await live(settings, engine, rate, seconds)
    times = {name: times_of(rows) for name, rows in found.items()}
    ratios = {
        f"{step}_ratio_{name}": round(times[name][f"done_{step}_ms"] / times["alone"][f"done_{step}_ms"], 2)
        for name in speeds
        for step in ("p50", "p99")
    }
    return {**times, "speeds": speeds, **ratios}


async def _beside(settings: Settings, engine: AsyncEngine, rate: int, seconds: float, topic: str) -> tuple[Rows, Times]:
    """Live events beside a replay of this topic, and how fast that was."""
    number, _ = await start_replay(settings, engine, TASKS, Request(topic=topic), datetime.now(UTC), "benchmark")
    await live(settings, engine, rate, SETTLE)
    before, began = await _replay(engine, number), time.perf_counter()
    rows = await live(settings, engine, rate, seconds)
    took, after = time.perf_counter() - began, await _replay(engine, number)
    if after.state == "running":
        await change(engine, number, "cancel", "benchmark")
    speed = {"read_per_s": (after.read - before.read) / took, "done_per_s": (after.done - before.done) / took}
    return rows, {name: round(value) for name, value in speed.items()}


async def _replay(engine: AsyncEngine, number: int) -> Row[Any]:
    async with autocommit(engine) as connection:
        return (await connection.execute(REPLAYED, {"id": number})).one()


if __name__ == "__main__":
    run_benchmark(__doc__, measure, events=100_000, rate=100, seconds=12.0, rounds=3)
