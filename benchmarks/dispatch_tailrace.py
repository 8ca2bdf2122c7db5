"""Tailrace in ``benchmarks.dispatch``: worker processes on the embedded stack."""

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.dispatch_notes import FOLDER
from benchmarks.dispatch_publish import publish_backlog
from streams.devstack.environment import for_programs
from streams.devstack.processes import Child, Program, free_port, run_to_end
from streams.devstack.readiness import until_ready
from streams.devstack.stack import Stack
from streams.kafka_client import client_options, worker_group
from streams.settings import Settings

START = timedelta(seconds=60)
STOP = timedelta(seconds=20)

# Runs of one task that the ledger calls done.
DONE = text("SELECT count(*) FROM tailrace.task_runs WHERE task = :task AND state = 'done'")

# Each measurement begins with an empty ledger.
EMPTY = text("TRUNCATE tailrace.task_runs, benchmark_rows")


class Tailrace:
    """``processes`` workers, with every default but the level of the log."""

    name = "tailrace"

    def __init__(self, stack: Stack, engine: AsyncEngine, folder: Path, processes: int, log_level: str) -> None:
        self._engine, self._folder, self._processes = engine, folder, processes
        logs = {"TAILRACE_LOG__LEVEL": log_level, "TAILRACE_LOG__FORMAT": "json"}
        self._environment, _ = for_programs(os.environ, stack.environment() | logs)
        self._settings = Settings.load(self._environment)
        self.servers: Mapping[str, int] = {"kafka": stack.kafka.pid or 0, "postgres": stack.postgres.pid or 0}

    @asynccontextmanager
    async def running(self, notes: Path) -> AsyncIterator[list[int]]:
        """The workers' process ids, when all have joined the group and it is at rest."""
        async with AsyncExitStack() as stopping:
            children = [await self._start(number, notes, stopping) for number in range(self._processes)]
            await until_ready(children[0], self._is_at_rest, START)
            yield [child.pid for child in children]

    async def _start(self, number: int, notes: Path, stopping: AsyncExitStack) -> Child:
        port = free_port()
        own = {"TAILRACE_WORKER__PORT": str(port), FOLDER: str(notes)}
        log = self._folder / f"worker-{number}.log"
        argv = (sys.executable, "-m", "benchmarks.dispatch_worker")
        child = await Child.start(Program(f"worker {number}", argv, log, self._environment | own))
        stopping.push_async_callback(child.stop, STOP)
        await until_ready(child, lambda: _answers(f"http://127.0.0.1:{port}/readyz"), START)
        return child

    async def _is_at_rest(self) -> bool:
        admin = AIOKafkaAdminClient(**client_options(self._settings.kafka))
        await admin.start()
        try:
            (response,) = await admin.describe_consumer_groups([worker_group(self._settings.kafka)])
        finally:
            await admin.close()
        _error, _name, state, _kind, _protocol, members, *_ = response.groups[0]
        return state == "Stable" and len(members) == self._processes

    async def empty(self) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(EMPTY)

    async def backlog(self, task: str, count: int) -> None:
        await publish_backlog(self._settings.kafka, task, count)

    async def left(self, task: str, count: int) -> int:
        async with self._engine.connect() as connection:
            return count - int((await connection.execute(DONE, {"task": task})).scalar_one())

    async def trickle(self, task: str, count: int, rate: float) -> None:
        argv = (sys.executable, "-m", "benchmarks.dispatch_publish", task, str(count), str(rate))
        await run_to_end(Program("publisher", argv, self._folder / "publisher.log", self._environment))


async def _answers(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return answer.status == 200
    except (TimeoutError, aiohttp.ClientError):
        return False
