"""Replays beside live work: `python -m benchmarks.replay_beside [--events 20000] [--rate 100] [--seconds 20]`.

One worker, as `tailrace worker`. Live events come at a steady rate: first alone; then while a replay reads so many
events that are all done; then while one submits as many commands that were never done, on the same queue; and alone
again. The times of a live event are from its publishing until it is routed, its run starts, and that is recorded. The
work itself is small: posts that the backend does not have. Prints p50 and p99 of each, the ratio of the last p99 to the
mean of those alone, and how fast the replays were. So many events should be more than the seconds leave time for.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
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
    SELECT CAST(counts ->> 'read' AS int) AS read, state,
           (SELECT count(*) FROM tailrace.task_runs WHERE replay = :id AND finished_at IS NOT NULL) AS done
      FROM tailrace.replays WHERE id = :id
""")

Times = dict[str, float]


def post(number: int, created_at: datetime) -> PostUploaded:
    """One with a picture, by one of a hundred authors."""
    return PostUploaded(
        post_id=number, author_id=number % 100, created_at=created_at, visibility="public", image=f"p/{number}.jpg"
    )


async def live(settings: Settings, engine: AsyncEngine, rate: int, seconds: float, first: int) -> Times:
    """Publish at this rate for so long; the times of what came of it."""
    begin = datetime.now(UTC)
    async with AsyncPublisher(**client_options(settings.kafka)) as publisher:
        sending, due = set(), time.perf_counter()
        for number in range(int(rate * seconds)):
            task = asyncio.create_task(_publish(publisher, first + number))
            sending.add(task)
            task.add_done_callback(sending.discard)
            due += 1 / rate
            await asyncio.sleep(max(0, due - time.perf_counter()))
        await asyncio.gather(*sending)
    end = datetime.now(UTC)
    found: Sequence[Row[Any]] = []
    while len(found) < int(rate * seconds):
        await asyncio.sleep(0.2)
        async with autocommit(engine) as connection:
            found = (await connection.execute(TOOK, {"begin": begin, "end": end})).all()
    times = {"events": float(len(found))}
    for step in ("routed", "started", "done"):
        hundredths = statistics.quantiles((float(getattr(row, step)) for row in found), n=100)
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


async def measure(count: int, rate: int, seconds: float) -> dict[str, object]:
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
                return await _both(settings, engine, rate, seconds)
            finally:
                await worker.stop(timedelta(seconds=15))
                await engine.dispose()


async def _both(settings: Settings, engine: AsyncEngine, rate: int, seconds: float) -> dict[str, object]:
    """Alone first and last: a worker and a broker get quicker with time."""
    await live(settings, engine, rate, WARM_UP.total_seconds(), 0)
    before = await live(settings, engine, rate, seconds, 100_000)
    reading = await _beside(settings, engine, rate, seconds, 200_000, "user.created")
    submitting = await _beside(settings, engine, rate, seconds, 300_000, "post.uploaded")
    after = await live(settings, engine, rate, seconds, 400_000)
    alone = (before["done_p99_ms"] + after["done_p99_ms"]) / 2
    return {
        "alone_before": before,
        "beside_a_replay_reading": reading,
        "beside_a_replay_submitting": submitting,
        "alone_after": after,
        "p99_ratio_reading": round(reading["done_p99_ms"] / alone, 2),
        "p99_ratio_submitting": round(submitting["done_p99_ms"] / alone, 2),
    }


async def _beside(settings: Settings, engine: AsyncEngine, rate: int, seconds: float, first: int, topic: str) -> Times:
    """The times of live events beside a replay of this topic's imported ones, and how far that got."""
    request = Request(topic=topic + IMPORTED_SUFFIX)
    number, _ = await start_replay(settings, engine, TASKS, request, datetime.now(UTC), "benchmark")
    began = time.perf_counter()
    times = await live(settings, engine, rate, seconds, first)
    took = time.perf_counter() - began
    async with autocommit(engine) as connection:
        replay = (await connection.execute(REPLAYED, {"id": number})).one()
    if replay.state == "running":
        await change(engine, number, "cancel", "benchmark")
    return {**times, "read_per_s": round(replay.read / took), "done_per_s": round(replay.done / took)}


if __name__ == "__main__":
    run_benchmark(__doc__, measure, events=20_000, rate=100, seconds=20.0)
