"""Replay: `python -m benchmarks.replay [--events 100000] [--asked 5000] [--out FILE]`.

So many events lie in a topic, and all of them are done. In turn: what a script would do, which reads them and asks the
ledger for each (`--asked` of them); `plan`, which counts; and a replay of what is missing, as a worker reads it, from
the start of the reader until the replay's row says that it is done. CPU seconds are of this process.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from agents import TASKS
from benchmarks.command import run_benchmark
from schemas.commands import command_id
from schemas.envelope import DEFAULT_SOURCE, Identity, identify
from schemas.events import UserCreated
from streams.db import autocommit, engine_for
from streams.decoding import decode_value
from streams.devstack.stack import ANY_PORTS, Stack
from streams.kafka_client import full_name, producer_for
from streams.metrics import Metrics
from streams.migrations.run import migrate
from streams.partition_spans import reading_client
from streams.publisher import record_of
from streams.replay.planning import plan_replay
from streams.replay.reading import Reading
from streams.replay.replayer import Replayer
from streams.replay.request import Request
from streams.replay.starting import start_replay
from streams.replay.stretches import Stretch, find_stretches
from streams.settings import Settings
from streams.topics import create_topics

TOPIC, TASK = "user.created", "send_welcome_email"
REQUEST = Request(topic=TOPIC)
STATE = text("SELECT state FROM tailrace.task_runs WHERE caused_at = :caused_at AND id = :id")
DONE = text("SELECT state = 'done' FROM tailrace.replays WHERE id = :id")
COLUMNS = ("id", "caused_at", "task", "queue", "state", "attempt", "generation", "args")

Result = dict[str, float]


def events(count: int) -> list[UserCreated]:
    """Users who have signed up, one each 100 ms."""
    now = datetime.now(UTC)
    return [
        UserCreated(
            user_id=n, email=f"u{n}@example.org", username=f"u{n}", created_at=now - timedelta(milliseconds=n * 100)
        )
        for n in range(count)
    ]


async def fill(settings: Settings, facts: list[UserCreated], suffix: str = "") -> None:
    """The events, and a run of each that is done. ``suffix``: of the topic."""
    producer = producer_for(settings.kafka, linger_ms=20)
    await producer.start()
    under_way = []
    for fact in facts:
        topic, key, value, headers, timestamp = record_of(fact, datetime.now(UTC))
        name = full_name(settings.kafka, topic + suffix)
        under_way.append(await producer.send(name, value, key=key, headers=headers, timestamp_ms=timestamp))
    await asyncio.gather(*under_way)
    await producer.stop()
    connection = await asyncpg.connect(settings.database.url)
    rows = [(id_of(fact), fact.created_at, TASK, "emails", "done", 1, 0, "{}") for fact in facts]
    await connection.copy_records_to_table("task_runs", schema_name="tailrace", records=rows, columns=COLUMNS)
    await connection.execute("ANALYZE tailrace.task_runs")
    await connection.close()


def id_of(fact: UserCreated) -> object:
    """The id of the welcome command of this user."""
    return command_id(Identity(DEFAULT_SOURCE, TOPIC, fact.natural_id), TASK)


@asynccontextmanager
async def measured(result: Result, count: int) -> AsyncIterator[None]:
    """Rate and CPU of what is done inside."""
    began, cpu = time.perf_counter(), time.process_time()
    yield
    took, used = time.perf_counter() - began, time.process_time() - cpu
    result |= {"events": count, "events_per_s": round(count / took), "cpu_s_per_1m": round(used / count * 1e6, 1)}


async def one_by_one(settings: Settings, engine: AsyncEngine, count: int) -> Result:
    """Read, decode, and ask for each."""
    found: Result = {}
    async with reading_client(settings.kafka) as consumer, autocommit(engine) as connection:
        stretches, _ = await find_stretches(settings.kafka, consumer, REQUEST, None, None)
        share = count // len(stretches)
        part = [
            Stretch(stretch.partition, stretch.begin, min(stretch.end, stretch.begin + share)) for stretch in stretches
        ]
        async with measured(found, sum(stretch.end - stretch.begin for stretch in part)):
            async for chunk in Reading(settings.kafka, consumer, TOPIC).chunks(part, 500):
                for record in chunk.records:
                    fact = decode_value(record.value, TOPIC, UserCreated)
                    identity = identify(record.headers, TOPIC, record.partition, record.offset)
                    keys = {"id": command_id(identity, TASK), "caused_at": fact.occurred_at}
                    assert (await connection.execute(STATE, keys)).scalar_one() == "done"
    return found


async def planned(settings: Settings, engine: AsyncEngine, count: int) -> Result:
    """Count all of it."""
    found: Result = {}
    async with measured(found, count):
        plan = await plan_replay(settings, engine, TASKS, REQUEST, datetime.now(UTC))
    assert plan.counts.tasks == {TASK: {"done": count}}, plan.counts
    return found


async def replayed(settings: Settings, engine: AsyncEngine, count: int) -> Result:
    """Read by a worker's part, in mode ``missing``."""
    found: Result = {}
    number, _ = await start_replay(settings, engine, TASKS, REQUEST, datetime.now(UTC), "benchmark")
    async with measured(found, count):
        reading = asyncio.create_task(Replayer(engine, settings, TASKS, "benchmark", Metrics(), time.monotonic).run())
        while not await _is_done(engine, number):
            await asyncio.sleep(0.02)
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading
    return found


async def _is_done(engine: AsyncEngine, number: int) -> bool:
    async with autocommit(engine) as connection:
        return bool((await connection.execute(DONE, {"id": number})).scalar_one())


async def measure(count: int, asked: int) -> dict[str, object]:
    """On servers of its own."""
    with tempfile.TemporaryDirectory() as folder:
        async with Stack(Path(folder), ports=ANY_PORTS) as stack:
            await migrate(stack.database_url)
            settings = Settings.load(stack.environment())
            await create_topics(settings)
            engine = engine_for(settings.database)
            await fill(settings, events(count))
            alone = await one_by_one(settings, engine, asked)
            plan, missing = await planned(settings, engine, count), await replayed(settings, engine, count)
            await engine.dispose()
    return {
        "one_by_one": alone,
        "plan": plan,
        "missing": missing,
        "plan_to_one_by_one": round(plan["events_per_s"] / alone["events_per_s"], 1),
        "missing_to_one_by_one": round(missing["events_per_s"] / alone["events_per_s"], 1),
    }


if __name__ == "__main__":
    run_benchmark(__doc__, measure, events=100_000, asked=5_000)
