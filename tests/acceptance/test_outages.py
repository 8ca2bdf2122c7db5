"""The worker recovers by itself from restarts of the database and of the broker, and says so meanwhile."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backend import backend_tables
from streams.db import engine_for, is_passing
from streams.devstack.stack import ANY_PORTS, Stack
from streams.settings import Settings
from tests.backend import photo, sign_up, upload
from tests.environments import environment_on
from tests.in_memory import folder_for_servers
from tests.processes import Running, run, running
from tests.waiting import eventually

WITHIN = 60


@pytest.fixture(scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Of these tests alone: they go down, and with the topics of all tests a broker would be long in coming back."""
    with folder_for_servers(tmp_path_factory.mktemp("servers")) as folder:
        async with Stack(folder, ports=ANY_PORTS, durable=False) as running:
            yield running


@pytest.fixture
async def environment(servers: Stack, tmp_path: Path) -> dict[str, str]:
    name = f"t{uuid.uuid4().hex[:12]}"
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    made = environment_on(servers, servers.database_url.rsplit("/", 1)[0] + f"/{name}", tmp_path)
    code, _, errors = await run("migrate", environment=made)
    assert code == 0, errors
    engine = engine_for(Settings.load(made).database)
    async with engine.begin() as backend:
        await backend.run_sync(backend_tables().metadata.create_all)
    await engine.dispose()
    return made


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
            await asyncio.sleep(0.05)

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
    environment: dict[str, str], engine: AsyncEngine, servers: Stack, tmp_path: Path
) -> None:
    said: list[int] = []
    async with running("worker", environment, tmp_path) as worker:
        async with users_signing_up(engine, said):
            for _ in range(2):
                wanted = len(said) + 20
                await eventually(partial(greeted, engine, wanted), WITHIN)
                await servers.postgres.kill()
                await eventually(lambda: is_red(worker), WITHIN)
                await servers.postgres.start()
            wanted = len(said) + 20
            await eventually(lambda: greeted(engine, wanted), WITHIN)
        await eventually(lambda: greeted(engine, len(said)), WITHIN)
        await eventually(worker.is_ready, WITHIN)
        assert await balanced(worker)


@pytest.mark.timeout(200)
async def test_the_broker_is_restarted_under_load(
    environment: dict[str, str], settings: Settings, engine: AsyncEngine, servers: Stack, tmp_path: Path
) -> None:
    said: list[int] = []
    async with running("worker", environment, tmp_path) as worker, running("serve", environment, tmp_path) as server:
        async with users_signing_up(engine, said):
            await eventually(lambda: greeted(engine, 20), WITHIN)
            await servers.kafka.kill()
            await eventually(lambda: is_red(worker), WITHIN)
            await eventually(lambda: _waits_for(worker, seconds=2), WITHIN, "metrics say how old it is")
            await servers.kafka.start()
            wanted = len(said) + 20
            await eventually(lambda: greeted(engine, wanted), WITHIN)
        await upload(engine, said[0], photo(settings.media.root, "a.jpg"), ["back"])
        await eventually(lambda: greeted(engine, len(said) + 1), WITHIN)
        await eventually(lambda: _is_counted(server), WITHIN)
        await eventually(worker.is_ready, WITHIN)
        assert await balanced(worker)


async def _waits_for(worker: Running, seconds: float) -> bool:
    """Whether the metrics say that the oldest row of the outbox has waited for so long."""
    _, metrics = await worker.get("/metrics")
    found = re.search(r"^tailrace_outbox_oldest_seconds ([0-9.e+]+)", metrics, re.MULTILINE)
    return found is not None and float(found[1]) >= seconds


async def _is_counted(server: Running) -> bool:
    _, answer = await server.get("/api/v1/trends/tags?window=5m")
    return bool(answer["complete"] and answer["tags"] == [{"tag": "back", "uses": 1}])
