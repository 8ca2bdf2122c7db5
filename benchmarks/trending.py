"""Trending ingest: `python -m benchmarks.trending [--events 300000] [--runs 3] [--out FILE]`.

Both count the same topic in this process, in turn. The peer is bare aiokafka, msgspec and a dict: fast, and neither
durable nor exact. Ours is the counter as the worker runs it: every batch stored in PostgreSQL, repeats and spam left
out. Seconds are of this process; broker and database work beside it on the same machine.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.command import run_benchmark
from schemas.events import PostUploaded
from schemas.facts import record_of
from streams.db import engine_for
from streams.devstack.stack import ANY_PORTS, Stack
from streams.health import Health
from streams.kafka_client import client_options
from streams.metrics import Metrics
from streams.migrations.run import migrate
from streams.settings import Settings
from streams.topics import create_topics
from streams.trending.counter import Counter
from streams.trending.sql import NEXT_GENERATION
from streams.trending.store import TrendingStore

TAGS, AUTHORS, TEXT = 50_000, 200_000, "a caption of the usual length, " * 5


@dataclass
class Measured:
    """One pass over the topic."""

    seconds: float
    cpu: float


class Tags(msgspec.Struct, gc=False):
    """All that the peer reads."""

    hashtags: list[str]


def posts(count: int) -> Iterator[PostUploaded]:
    """Posts of the last hour with 0 to 5 tags, of which few are common."""
    rng, now = random.Random(7), datetime.now(UTC)
    weights = [1 / (rank + 1) ** 1.07 for rank in range(TAGS)]
    drawn = iter(rng.choices(range(TAGS), weights, k=count * 6))
    for number in range(count):
        tags = sorted({f"tag{next(drawn):05d}" for _ in range(rng.randrange(6))})
        when = now - timedelta(seconds=3600 * (1 - number / count))
        author = rng.randrange(AUTHORS)
        yield PostUploaded(
            post_id=number, author_id=author, created_at=when, visibility="public", hashtags=tags, text=TEXT
        )


async def fill(settings: Settings, count: int) -> None:
    """Publish the posts, in big batches."""
    producer = AIOKafkaProducer(**client_options(settings.kafka), linger_ms=50, max_batch_size=1 << 20)
    await producer.start()
    for post in posts(count):
        topic, key, value, headers, timestamp = record_of(post, datetime.now(UTC))
        await producer.send(topic, value, key=key, headers=headers, timestamp_ms=timestamp)
    await producer.stop()


async def bare(settings: Settings, count: int) -> Measured:
    """aiokafka `getmany`, msgspec, a dict a minute."""
    consumer = AIOKafkaConsumer(
        "post.uploaded",
        **client_options(settings.kafka),
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 << 20,
        fetch_max_bytes=64 << 20,
    )
    await consumer.start()
    panes: dict[int, dict[str, int]] = {}
    decode, seen = msgspec.json.Decoder(Tags).decode, 0
    began, cpu = time.perf_counter(), time.process_time()
    while seen < count:
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for record in records:
                pane = panes.setdefault(record.timestamp // 60_000, {})
                for tag in decode(record.value).hashtags:
                    pane[tag] = pane.get(tag, 0) + 1
            seen += len(records)
    measured = Measured(time.perf_counter() - began, time.process_time() - cpu)
    await consumer.stop()
    return measured


async def ours(settings: Settings, engine: AsyncEngine, count: int) -> Measured:
    """The counter, from its start until the last offset is stored; a new generation counts from the beginning."""
    async with engine.begin() as connection:
        generation = (await connection.execute(NEXT_GENERATION)).scalar_one()
    counter = Counter(settings, TrendingStore(engine), Metrics(), Health().progress("counter"))
    began, cpu = time.perf_counter(), time.process_time()
    task = asyncio.create_task(counter.run())
    while await _stored(engine, generation) < count:
        await asyncio.sleep(0.02)
    measured = Measured(time.perf_counter() - began, time.process_time() - cpu)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return measured


async def _stored(engine: AsyncEngine, generation: int) -> int:
    query = text("SELECT coalesce(sum(next_offset), 0) FROM tailrace.trending_sources WHERE generation = :generation")
    async with engine.connect() as connection:
        return int((await connection.execute(query, {"generation": generation})).scalar_one())


async def measure(count: int, runs: int) -> dict[str, object]:
    """Both, in turn, ``runs`` times."""
    with tempfile.TemporaryDirectory() as folder:
        async with Stack(Path(folder), ports=ANY_PORTS) as stack:
            await migrate(stack.database_url)
            settings = Settings.load(stack.environment())
            await create_topics(settings)
            await fill(settings, count)
            engine = engine_for(settings.database)
            pairs = [(await bare(settings, count), await ours(settings, engine, count)) for _ in range(runs)]
            await engine.dispose()
    return summary(count, pairs)


def summary(count: int, pairs: list[tuple[Measured, Measured]]) -> dict[str, object]:
    """Medians of rate and of CPU seconds for 1M events, and ours against the peer's, pair by pair."""

    def medians(found: list[Measured]) -> dict[str, float]:
        rate = statistics.median(count / one.seconds for one in found)
        return {
            "events_per_s": round(rate),
            "cpu_s_per_1m": round(statistics.median(m.cpu for m in found) / count * 1e6, 2),
        }

    return {
        "events": count,
        "runs": len(pairs),
        "bare_aiokafka": medians([peer for peer, _ in pairs]),
        "tailrace": medians([own for _, own in pairs]),
        "rate_ratio": round(statistics.median(peer.seconds / own.seconds for peer, own in pairs), 3),
        "cpu_ratio": round(statistics.median(own.cpu / peer.cpu for peer, own in pairs), 3),
    }


if __name__ == "__main__":
    run_benchmark(__doc__, measure, events=300_000, runs=3)
