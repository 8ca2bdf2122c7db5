"""Commands of ours as processes of their own."""

import asyncio
import json
import os
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from streams.devstack.processes import Child, Program, free_port
from tests.forked import Call, Forked, forked
from tests.waiting import eventually

Environment = Mapping[str, str]


class Running:
    """A worker or a server that runs."""

    def __init__(self, child: Child | Forked, port: int) -> None:
        self.child = child
        self.url = f"http://127.0.0.1:{port}"

    async def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON (or text); status 0 where nobody listens."""
        return await asyncio.to_thread(_get, self.url + path)

    async def is_ready(self) -> bool:
        """Whether ``/readyz`` says so. Fails the test if the process has ended."""
        assert self.child.exit_code is None, self.child.failure("ended")
        return (await self.get("/readyz"))[0] == 200


@asynccontextmanager
async def running(command: str, environment: Environment, logs: Path, *, wait: bool = True) -> AsyncIterator[Running]:
    """``tailrace worker`` or ``tailrace serve``; ready when it is yielded, stopped (or dead already) at the end."""
    port, log = free_port(), logs / f"{command}.log"
    process = Forked.start(Call("streams.cli", [command], _variables(command, environment, logs, port), log, log))
    async with _ready(process, port, command if wait else None) as ready:
        yield ready


@asynccontextmanager
async def started(command: str, environment: Environment, logs: Path, *, wait: bool = True) -> AsyncIterator[Running]:
    """The same by the command that a user gives, imports and all."""
    port = free_port()
    argv = (sys.executable, "-m", "streams.cli", command)
    variables = _variables(command, environment, logs, port)
    child = await Child.start(Program(command, argv, logs / f"{command}.log", variables))
    async with _ready(child, port, command if wait else None) as ready:
        yield ready


def _variables(command: str, environment: Environment, logs: Path, port: int) -> dict[str, str]:
    setting = {"worker": "TAILRACE_WORKER__PORT", "serve": "TAILRACE_HTTP__PORT"}[command]
    own = {setting: str(port), "TAILRACE_WORKER__DATA": str(logs / f"data-{port}")}
    return {**os.environ, **environment, **own}


@asynccontextmanager
async def _ready(child: Child | Forked, port: int, awaited: str | None) -> AsyncIterator[Running]:
    process = Running(child, port)
    try:
        if awaited:
            await eventually(process.is_ready, within=60, what=f"{awaited} is ready")
        yield process
    finally:
        await child.stop(timedelta(seconds=15))


async def run(*arguments: str, environment: Environment, within: float = 60) -> tuple[int, str, str]:
    """``tailrace ARGUMENTS`` to its end: exit code, output and errors."""
    with tempfile.TemporaryDirectory() as folder:
        out, errors = Path(folder, "out"), Path(folder, "errors")
        async with forked(Call("streams.cli", arguments, {**os.environ, **environment}, out, errors)) as process:
            async with asyncio.timeout(within):
                exit_code = await process.wait()
        return exit_code, out.read_text(), errors.read_text()


def _get(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, _content(answer.read())
    except HTTPError as error:
        return error.code, _content(error.read())
    except OSError:
        return 0, None


def _content(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()
