"""The relay: `python -m benchmarks.relay [--rows 100000] [--wakes 40] [--out FILE]`.

A full outbox of welcome commands is published by one relay, as the worker runs it, and the clock runs until the last
row is deleted; CPU seconds are of this process. Then single rows: from before the COMMIT that writes one until a
consumer in this process has it, first while the relay polls (one each 10 to 30 ms), then while it sleeps and the
writer's NOTIFY wakes it. The consumer's own way is in these times.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from aiokafka import AIOKafkaConsumer
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.command import run_benchmark
from streams.db import autocommit, engine_for
from streams.devstack.stack import ANY_PORTS, Stack
from streams.health import Health
from streams.kafka_client import client_options, full_name
from streams.metrics import Metrics
from streams.migrations.run import migrate
from streams.outbox import OutboxRow, put
from streams.relay import IDLE_AFTER, Relay
from streams.settings import Settings
from streams.topics import create_topics

TOPIC = "queue.emails"
POLLED = 500
POLL = 0.01

# A backlog as submissions leave it: a transaction's rows are due at one time.
FILL = text("""
    INSERT INTO tailrace.outbox (topic, key, headers, payload, due_at, dedupe_key)
    SELECT :topic, convert_to(number::text, 'UTF8'),
           '[["content-type", "application/json"], ["tailrace-task", "send_welcome_email"]]',
           convert_to(jsonb_build_object('id', gen_random_uuid(), 'task', 'send_welcome_email', 'attempt', 1,
               'args', jsonb_build_object('user_id', number), 'caused_at', now(), 'generation', 0, 'version', 1,
               'cause', jsonb_build_object('source', '/backend', 'type', 'user.created', 'id', number))::text, 'UTF8'),
           now() - interval '1 hour' + interval '1 ms' * (number / 10), 'submit:' || number
      FROM generate_series(1, CAST(:rows AS bigint)) AS number
""")
LEFT = text("SELECT EXISTS (SELECT FROM tailrace.outbox)")
IDLE = text("SELECT idle FROM tailrace.relay")


@asynccontextmanager
async def running_relay(settings: Settings) -> AsyncIterator[None]:
    """A relay in this process."""
    task = asyncio.create_task(Relay(settings, Metrics(), Health().progress("relay")).run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def drain(settings: Settings, engine: AsyncEngine, rows: int) -> dict[str, float]:
    """A backlog, from the relay's start until it is gone."""
    async with engine.begin() as connection:
        await connection.execute(FILL, {"topic": TOPIC, "rows": rows})
    async with autocommit(engine) as connection:
        await connection.execute(text("VACUUM (ANALYZE) tailrace.outbox"))
    began, cpu = time.perf_counter(), time.process_time()
    async with running_relay(settings):
        while await _is(engine, LEFT):
            await asyncio.sleep(0.05)
        took, used = time.perf_counter() - began, time.process_time() - cpu
    return {"rows": rows, "rows_per_s": round(rows / took), "cpu_s_per_1m": round(used / rows * 1e6, 1)}


async def _is(engine: AsyncEngine, question: TextClause) -> bool:
    async with autocommit(engine) as connection:
        return bool((await connection.execute(question)).scalar_one())


class Arrivals:
    """When each key reached a consumer."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = AIOKafkaConsumer(
            full_name(settings.kafka, TOPIC), **client_options(settings.kafka), auto_offset_reset="latest"
        )
        self.at: dict[bytes, float] = {}

    async def collect(self) -> None:
        """For ever."""
        async for record in self._consumer:
            self.at[record.key] = time.perf_counter()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        await self._consumer.start()
        await self._consumer.seek_to_end()
        for partition in self._consumer.assignment():
            await self._consumer.position(partition)
        task = asyncio.create_task(self.collect())
        try:
            yield
        finally:
            task.cancel()
            await self._consumer.stop()


async def single_rows(settings: Settings, engine: AsyncEngine, wakes: int) -> dict[str, dict[str, float]]:
    """Times of single rows, in ms."""
    rng, arrivals = random.Random(3), Arrivals(settings)
    async with running_relay(settings), arrivals.listening():
        polled = {}
        for number in range(POLLED):
            polled[b"p%d" % number] = await _write(engine, b"p%d" % number)
            await asyncio.sleep(rng.uniform(0.01, 0.03))
        woken = {}
        for number in range(wakes):
            while not await _is(engine, IDLE):
                await asyncio.sleep(POLL)
            await asyncio.sleep(rng.uniform(0, 0.25))  # anywhere between two of its slow polls
            woken[b"w%d" % number] = await _write(engine, b"w%d" % number)
            await asyncio.sleep(IDLE_AFTER.total_seconds())
        while len(arrivals.at) < len(polled) + len(woken):
            await asyncio.sleep(POLL)
    return {"polled": _summary(polled, arrivals.at), "woken": _summary(woken, arrivals.at)}


async def _write(engine: AsyncEngine, key: bytes) -> float:
    now = datetime.now(UTC)
    async with engine.begin() as connection:
        await put(connection, OutboxRow(TOPIC, key, b"{}", now))
        return time.perf_counter()  # the COMMIT is yet to come


def _summary(began: dict[bytes, float], ended: dict[bytes, float]) -> dict[str, float]:
    found = [(ended[key] - began[key]) * 1000 for key in began]
    hundredths = statistics.quantiles(found, n=100)
    return {
        "rows": len(found),
        "p50_ms": round(hundredths[49], 1),
        "p99_ms": round(hundredths[98], 1),
        "max_ms": round(max(found), 1),
    }


async def measure(rows: int, wakes: int) -> dict[str, dict[str, float]]:
    """On servers of its own."""
    with tempfile.TemporaryDirectory() as folder:
        async with Stack(Path(folder), ports=ANY_PORTS) as stack:
            await migrate(stack.database_url)
            settings = Settings.load(stack.environment())
            await create_topics(settings)
            engine = engine_for(settings.database)
            await drain(settings, engine, 5_000)  # to warm up
            found = {"backlog": await drain(settings, engine, rows), **await single_rows(settings, engine, wakes)}
            await engine.dispose()
    return found


if __name__ == "__main__":
    run_benchmark(__doc__, measure, rows=100_000, wakes=40)
