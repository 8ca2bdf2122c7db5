"""The worker recovers by itself from restarts of the database and of the broker, and says so meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.db import is_passing
from streams.devstack.stack import Stack
from streams.settings import Settings
from tests.backend import photo, sign_up, upload
from tests.processes import Running, run, running
from tests.waiting import eventually

WITHIN = 60


@pytest.fixture(autouse=True)
async def topics(environment: dict[str, str]) -> None:
    code, _, errors = await run("migrate", environment=environment)
    assert code == 0, errors


@asynccontextmanager
async def users_signing_up(engine: AsyncEngine, said: list[int]) -> AsyncIterator[None]:
    """A backend that goes on, and tries again what its database refused."""
    stop = asyncio.Event()

    async def live() -> None:
        while not stop.is_set():
            try:
                said.append(await sign_up(engine, len(said)))
            except Exception as error:
                if not is_passing(error):
                    raise
            await asyncio.sleep(0.02)

    task = asyncio.create_task(live())
    try:
        yield
    finally:
        stop.set()
        await task


async def greeted(engine: AsyncEngine, wanted: int) -> bool:
    """Whether this many users have their mail; fails on a run that ended in another way."""
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT state, count(*) AS runs FROM tailrace.task_runs GROUP BY 1"))
        found = {row.state: row.runs for row in rows}
    assert set(found) <= {"running", "parked", "done", "queued"}, found
    return bool(found.get("done", 0) + found.get("parked", 0) >= wanted)


async def is_red(worker: Running) -> bool:
    assert worker.child.exit_code is None, worker.child.failure("ended")
    return (await worker.get("/readyz"))[0] == 503


async def balanced(worker: Running) -> bool:
    _, metrics = await worker.get("/metrics")
    return "tailrace_conservation_error 0.0" in metrics


@pytest.mark.timeout(200)
async def test_the_database_is_restarted_under_load(
    environment: dict[str, str], engine: AsyncEngine, stack: Stack, tmp_path: Path
) -> None:
    said: list[int] = []
    async with running("worker", environment, tmp_path) as worker:
        async with users_signing_up(engine, said):
            for _ in range(2):
                wanted = len(said) + 20
                await eventually(partial(greeted, engine, wanted), WITHIN)
                await stack.postgres.kill()
                await eventually(lambda: is_red(worker), WITHIN)
                await stack.postgres.start()
            wanted = len(said) + 20
            await eventually(lambda: greeted(engine, wanted), WITHIN)
        await eventually(lambda: greeted(engine, len(said)), WITHIN)
        await eventually(worker.is_ready, WITHIN)
        assert await balanced(worker)


@pytest.mark.timeout(200)
async def test_the_broker_is_restarted_under_load(
    environment: dict[str, str], settings: Settings, engine: AsyncEngine, stack: Stack, tmp_path: Path
) -> None:
    said: list[int] = []
    async with running("worker", environment, tmp_path) as worker, running("serve", environment, tmp_path) as server:
        async with users_signing_up(engine, said):
            await eventually(lambda: greeted(engine, 20), WITHIN)
            await stack.kafka.kill()
            await eventually(lambda: is_red(worker), WITHIN)
            await stack.kafka.start()
            wanted = len(said) + 20
            await eventually(lambda: greeted(engine, wanted), WITHIN)
        await upload(engine, said[0], photo(settings.media.root, "a.jpg"), ["back"])
        await eventually(lambda: greeted(engine, len(said) + 1), WITHIN)
        await eventually(lambda: _is_counted(server), WITHIN)
        await eventually(worker.is_ready, WITHIN)
        assert await balanced(worker)


async def _is_counted(server: Running) -> bool:
    _, answer = await server.get("/api/v1/trends/tags?window=5m")
    return bool(answer["complete"] and answer["tags"] == [{"tag": "back", "uses": 1}])
