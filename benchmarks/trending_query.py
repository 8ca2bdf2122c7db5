"""Trends while counting is busy: `python -m benchmarks.trending_query [--events 600000] [--markers 60] [--out FILE]`.

A counter of its own process counts a full topic as fast as it can, `tailrace serve` follows, and this process asks it
over HTTP, one question after the other, for as long as that takes: the times are those of a client, the stalls of a
server that takes in everything included. Then posts come in at an even rate, each of some of them with a tag that
nobody has used: from before it is sent until an answer has it.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import aiohttp
import uvloop
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.trending import fill, posts
from schemas.events import PostUploaded
from streams.db import engine_for
from streams.devstack.processes import Child, Program, free_port
from streams.devstack.stack import ANY_PORTS, Stack
from streams.health import Health
from streams.kafka_client import client_options
from streams.log import configure_logging
from streams.metrics import Metrics
from streams.migrations.run import migrate
from streams.publisher import AsyncPublisher
from streams.setting_groups import Log
from streams.settings import Settings
from streams.topics import create_topics
from streams.trending.counter import Counter
from streams.trending.store import TrendingStore

QUESTIONS = [f"window={window}&rank={rank}" for rank in ("count", "trending") for window in ("1h", "6h", "24h")]
PAUSE = 0.01
EVEN_RATE = 2000
STORED = text("SELECT coalesce(sum(next_offset), 0) FROM tailrace.trending_sources")


async def count_for_ever() -> None:
    """The counter as the worker runs it, and nothing else."""
    settings = Settings.load()
    await Counter(settings, TrendingStore(engine_for(settings.database)), Metrics(), Health().progress("c")).run()


@asynccontextmanager
async def child(name: str, argv: tuple[str, ...], variables: dict[str, str], logs: Path) -> AsyncIterator[None]:
    """A process of ours until the end of the block."""
    started = await Child.start(Program(name, (sys.executable, "-m", *argv), logs / f"{name}.log", variables))
    try:
        yield
    finally:
        await started.stop(timedelta(seconds=10))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for it."""
    while not await condition():
        await asyncio.sleep(0.02)


async def ask_while(session: aiohttp.ClientSession, engine: AsyncEngine, events: int) -> dict[str, float]:
    """Times of questions, from the counter's first batch until its last."""
    await until(lambda: _stored(engine, 1))
    began, counted, took = time.perf_counter(), False, list[float]()
    asked = cycle(QUESTIONS)
    while not counted:
        for _ in range(50):
            started = time.perf_counter()
            async with session.get(f"/api/v1/trends/tags?limit=10&{next(asked)}") as answer:
                answer.raise_for_status()
                await answer.read()
            took.append((time.perf_counter() - started) * 1000)
            await asyncio.sleep(PAUSE)
        counted = await _stored(engine, events)
    return {**_summary(took), "events_per_s": round(events / (time.perf_counter() - began))}


async def _stored(engine: AsyncEngine, events: int) -> bool:
    async with engine.connect() as connection:
        return int((await connection.execute(STORED)).scalar_one()) >= events


async def show_markers(settings: Settings, session: aiohttp.ClientSession, markers: int) -> dict[str, float]:
    """Times until single posts are in an answer, while others come in."""
    async with AsyncPublisher(**client_options(settings.kafka)) as publisher:
        noise = asyncio.create_task(_publish_evenly(publisher))
        try:
            seen = [asyncio.create_task(_show(publisher, session, number)) for number in range(markers)]
            return _summary([await one for one in seen])
        finally:
            noise.cancel()


async def _publish_evenly(publisher: AsyncPublisher) -> None:
    made, batch = posts(300_000), EVEN_RATE // 20
    while True:
        due = time.perf_counter() + 0.05
        await publisher.publish(*(next(made) for _ in range(batch)))
        await asyncio.sleep(max(0.0, due - time.perf_counter()))


async def _show(publisher: AsyncPublisher, session: aiohttp.ClientSession, number: int) -> float:
    await asyncio.sleep(1 + number * 0.13)
    tag, now = f"marker{number}", datetime.now(UTC)
    started = time.perf_counter()
    post = PostUploaded(post_id=10**9 + number, author_id=number, created_at=now, visibility="public", hashtags=[tag])
    await publisher.publish(post)

    async def is_shown() -> bool:
        async with session.get(f"/api/v1/trends/tags/{tag}?hours=1") as answer:
            return bool((await answer.json())["uses"]["5m"])

    await until(is_shown)
    return (time.perf_counter() - started) * 1000


def _summary(found: list[float]) -> dict[str, float]:
    hundredths = statistics.quantiles(found, n=100)
    shown = {"p50_ms": hundredths[49], "p99_ms": hundredths[98], "max_ms": max(found)}
    return {"times": len(found), **{name: round(value, 2) for name, value in shown.items()}}


async def measure(events: int, markers: int) -> dict[str, dict[str, float]]:
    """Both, on servers of its own."""
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        async with Stack(logs, ports=ANY_PORTS) as stack:
            await migrate(stack.database_url)
            port = free_port()
            variables = {**os.environ, **stack.environment(), "TAILRACE_HTTP__PORT": str(port)}
            settings = Settings.load(stack.environment())
            await create_topics(settings)
            await fill(settings, events)
            engine = engine_for(settings.database)
            async with (
                child("serve", ("streams.cli", "serve"), variables, logs),
                aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
            ):
                await until(lambda: _answers(session))
                async with child("counter", ("benchmarks.trending_query", "--count"), variables, logs):
                    asked = await ask_while(session, engine, events)
                    shown = await show_markers(settings, session, markers)
            await engine.dispose()
    return {"query_during_ingest": asked, "event_to_answer": shown}


async def _answers(session: aiohttp.ClientSession) -> bool:
    try:
        async with session.get("/livez") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=600_000)
    parser.add_argument("--markers", type=int, default=60)
    parser.add_argument("--count", action="store_true", help="be the counter that is measured")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    configure_logging(Log(level="error"))
    if options.count:
        uvloop.run(count_for_ever())
    found = json.dumps(uvloop.run(measure(options.events, options.markers)), indent=2)
    sys.stdout.write(found + "\n")
    if options.out:
        options.out.write_text(found + "\n")


if __name__ == "__main__":
    main()
