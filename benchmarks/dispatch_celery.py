"""Celery in ``benchmarks.dispatch``: an environment of its own, a Redis on loopback, a prefork worker."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.dispatch_notes import FOLDER
from benchmarks.environments import environment
from run import SetupError
from streams.devstack.processes import Child, Program, free_port, run_to_end
from streams.devstack.readiness import until_ready
from streams.devstack.stack import Stack

LOCKED = Path(__file__).with_name("requirements.lock")
START = timedelta(seconds=60)
STOP = timedelta(seconds=20)

COUNT_ROWS = text("SELECT count(*) FROM benchmark_rows")
EMPTY = text("TRUNCATE benchmark_rows")


def celery_environment() -> Path:
    """The folder of Celery's environment. Ends the program where it cannot be made."""
    try:
        return environment("celery", LOCKED)
    except SetupError as error:
        sys.exit(f"benchmarks.dispatch: {error}; or leave Celery out with --no-celery")


def redis_server() -> str:
    """Where Redis is installed; ends the program where it is not."""
    found = shutil.which("redis-server")
    if found is None:
        sys.exit(
            "benchmarks.dispatch: redis-server is not on the PATH and Celery needs it; install it "
            "(Debian: apt-get install redis-server), or leave Celery out with --no-celery"
        )
    return found


class Redis:
    """A Redis that keeps nothing, as a broker is usually run, for as long as the block."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def __aenter__(self) -> "Redis":
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder))
        argv = (redis_server(), *options)
        self._child = await Child.start(Program("redis", argv, self._folder / "redis.log", os.environ))
        await until_ready(self._child, self._answers, START)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._child.stop(STOP)

    @property
    def pid(self) -> int:
        return self._child.pid

    async def ask(self, command: str) -> str:
        """The first line of the answer to a command."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"{command}\r\n".encode())
        answer = (await reader.readline()).decode().strip()
        writer.close()
        return answer

    async def _answers(self) -> bool:
        try:
            return await self.ask("PING") == "+PONG"
        except OSError:
            return False


class Celery:
    """One prefork worker with ``processes`` children, settings as in ``dispatch_celery_app``."""

    name = "celery"

    def __init__(
        self, stack: Stack, engine: AsyncEngine, redis: Redis, folder: Path, processes: int, level: str
    ) -> None:
        self._engine, self._redis, self._folder = engine, redis, folder
        self._processes, self._level = processes, level
        self._python = celery_environment() / "bin" / "python"
        root = Path(__file__).resolve().parents[1]
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(root),
            "DISPATCH_BROKER": redis.url,
            "DISPATCH_DATABASE": stack.database_url,
        }
        self.servers = {"redis": redis.pid, "postgres": stack.postgres.pid or 0}

    @asynccontextmanager
    async def running(self, notes: Path) -> AsyncIterator[list[int]]:
        """The process id of the worker, when it takes messages."""
        options = ("-c", str(self._processes), "-P", "prefork", "-l", self._level.upper())
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        argv = (str(self._python), "-m", "celery", "-A", "benchmarks.dispatch_celery_app", "worker", *options, *quiet)
        environment = self._environment | {FOLDER: str(notes)}
        child = await Child.start(Program("celery", argv, self._folder / "celery.log", environment))
        try:
            await self.backlog("do_nothing", 1)
            await until_ready(child, self._has_begun, START)
            yield [child.pid]
        finally:
            await child.stop(STOP)

    async def empty(self) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(EMPTY)

    async def backlog(self, task: str, count: int) -> None:
        await self._publish(task, str(count))

    async def trickle(self, task: str, count: int, rate: float) -> None:
        await self._publish(task, str(count), str(rate))

    async def left(self, task: str, count: int) -> int:
        """Rows that are missing, or where the task leaves none, messages that no child has taken yet."""
        if task != "write_row":
            return await self._waiting()
        async with self._engine.connect() as connection:
            return count - int((await connection.execute(COUNT_ROWS)).scalar_one())

    async def _has_begun(self) -> bool:
        return await self._waiting() == 0

    async def _waiting(self) -> int:
        answers = [await self._redis.ask(command) for command in ("LLEN celery", "HLEN unacked")]
        return sum(int(answer.removeprefix(":")) for answer in answers)

    async def _publish(self, *arguments: str) -> None:
        argv = (str(self._python), "-m", "benchmarks.dispatch_celery_app", *arguments)
        await run_to_end(Program("publisher", argv, self._folder / "publisher.log", self._environment))
