"""Programs of ours in processes that are forked of one which has imported them already.

Each is a process as ``python -m MODULE`` makes it: its own arguments, environment, output, signals and exit code.
Only the imports, which take most of a command's time, are done once for all of them.
"""

import asyncio
import ctypes
import importlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.forkserver import ensure_running
from pathlib import Path

from streams.devstack.errors import DevStackError, last_lines

PACKAGES = ("streams", "agents")
UNUSED = {"devstack", "migrations", "versions"}
"""Folders of what the programs here do not need, or that is no module."""

ROOT = Path(__file__).parents[1]
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Call:
    """``python -m MODULE ARGUMENTS``, in this environment and no other; its output is appended to the files."""

    module: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    out: Path
    errors: Path


class Forked:
    """One run of a program, in a session of its own; it does not outlive the test's process."""

    def __init__(self, call: Call, process: ForkServerProcess) -> None:
        self._call = call
        self._process = process

    @classmethod
    def start(cls, call: Call) -> "Forked":
        for file in (call.out, call.errors):
            file.parent.mkdir(parents=True, exist_ok=True)
        process = _server().Process(target=_become, args=(call,))
        process.start()
        return cls(call, process)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._process.exitcode

    async def wait(self) -> int:
        """Its exit code, when it has one."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        self._process.join()
        assert self.exit_code is not None
        return self.exit_code

    async def stop(self, grace: timedelta) -> None:
        """Ask it to stop; after ``grace`` kill it. It is gone on return."""
        if self.exit_code is not None:
            return
        os.kill(self.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(grace.total_seconds()):
                await self.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """SIGKILL to it and to what it started in its session. It is gone on return."""
        if self.exit_code is None:
            os.killpg(self.pid, signal.SIGKILL)
            await self.wait()

    def failure(self, doing: str) -> DevStackError:
        """The error that says that it ended while ``doing``, with the end of what it said."""
        how = "it still runs" if self.exit_code is None else f"exit code {self.exit_code}"
        what, log = " ".join((self._call.module, *self._call.arguments)), self._call.errors
        return DevStackError(f"{what} {doing} ({how}). {log} ends:\n{last_lines(log)}")


@asynccontextmanager
async def forked(call: Call) -> AsyncIterator[Forked]:
    """A process, killed at the end if it has not ended."""
    process = Forked.start(call)
    try:
        yield process
    finally:
        await process.kill()


def prepare() -> None:
    """Begin with the imports, beside what the caller does next."""
    _server()
    ensure_running()


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    files = [file.relative_to(ROOT) for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    modules = [".".join(file.with_suffix("").parts) for file in files if not UNUSED & set(file.parts)]
    context.set_forkserver_preload([*modules, "tests.storm_worker", "tests.replay_process"])
    return context


def _become(call: Call) -> None:
    """The rest of a process's life."""
    os.setsid()
    # The server ends with the test's process, and this with the server.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for file, number in ((call.out, 1), (call.errors, 2)):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(call.environment)
    time.tzset()
    program = importlib.import_module(call.module)
    sys.argv = [program.__file__ or "", *call.arguments]
    program.main()
