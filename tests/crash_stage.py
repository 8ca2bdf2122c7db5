"""The event loop and the connections on which worlds are built, one after the other."""

import asyncio
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import asyncpg
import pytest

from schemas.backend import backend_tables
from streams.db import engine_for
from streams.log import configure_logging
from streams.metrics import Metrics
from streams.schedules import store
from streams.setting_groups import Log
from streams.settings import Settings
from tests.crash_database import FAKE_CLOCK, RESET
from tests.crash_process import owned_tasks
from tests.crash_tasks import TASKS
from tests.crash_world import Ground, World

T = TypeVar("T")

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
"""Some time in a month that the ledger has."""


SCHEDULES: dict[str, dict[str, Any]] = {
    "each": {"every": timedelta(hours=1), "misfire": "run_all", "overlap": "allow"},
    "latest": {"every": timedelta(minutes=30), "misfire": "run_once", "overlap": "skip"},
}


@dataclass(frozen=True)
class Stage:
    """Whoever is not a coroutine moves the world from here, step by step."""

    runner: asyncio.Runner
    ground: Ground

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(step)

    def new_world(self) -> World:
        return self.run(_new_world(self.ground))


@contextmanager
def stage_on(server: str, template: str) -> Iterator[Stage]:
    """On a copy of the database ``template``, whose clock is ours. Nothing waits for the time of the machine."""
    name = f"t{uuid.uuid4().hex[:12]}"
    url = server.rsplit("/", 1)[0] + f"/{name}"
    with asyncio.Runner(loop_factory=_loop) as runner, pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.db.AFTER_ERROR", 0)
        patch.setattr("streams.dead_letters.AFTER_ERROR", 0)
        configure_logging(Log(level="error"))
        try:
            runner.run(_execute(server, f"CREATE DATABASE {name} TEMPLATE {template}"))
            runner.run(_execute(url, FAKE_CLOCK))
            ground = runner.run(_ground(url))
            yield Stage(runner, ground)
            runner.run(_leave(ground))
            runner.run(_execute(server, f"DROP DATABASE {name} WITH (FORCE)"))
        finally:
            configure_logging(Log(level="info"))


def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_task_factory(owned_tasks)  # type: ignore[arg-type]
    return loop


async def _ground(url: str) -> Ground:
    settings = Settings.load({"TAILRACE_DATABASE__URL": url, "TAILRACE_DATABASE__POOL_SIZE": "40"})
    relaying, observing = await _connect(url), await _connect(url)
    return Ground(settings, engine_for(settings.database), relaying, observing, Metrics(), backend_tables(), NOON)


async def _execute(url: str, statement: str) -> None:
    connection = await _connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url, server_settings={"timezone": "UTC"})


async def _leave(ground: Ground) -> None:
    await ground.engine.dispose()
    await ground.relaying.close()
    await ground.observing.close()


async def _new_world(ground: Ground) -> World:
    """An empty ledger, two schedules, and time at its beginning."""
    await ground.observing.execute(RESET)
    await ground.observing.execute("INSERT INTO fake_clock.instant VALUES ($1)", ground.begin)
    for name, timing in SCHEDULES.items():
        fields = {"name": name, "task": "leave_effect", "args": {"number": 1}, "starts_at": ground.begin, **timing}
        await store.create(ground.engine, TASKS.values(), fields)
    return World(ground)
