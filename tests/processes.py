"""Programs of ours as processes of their own, by the commands that a user runs."""

import asyncio
import json
import os
import sys
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from streams.devstack.processes import Child, Program, free_port
from tests.waiting import eventually

Environment = Mapping[str, str]


class Running:
    """A worker or a server that runs."""

    def __init__(self, child: Child, port: int) -> None:
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
    port = free_port()
    setting = {"worker": "TAILRACE_WORKER__PORT", "serve": "TAILRACE_HTTP__PORT"}[command]
    own = {setting: str(port), "TAILRACE_WORKER__DATA": str(logs / f"data-{port}")}
    variables = {**os.environ, **environment, **own}
    argv = (sys.executable, "-m", "streams.cli", command)
    child = await Child.start(Program(command, argv, logs / f"{command}.log", variables))
    process = Running(child, port)
    try:
        if wait:
            await eventually(process.is_ready, within=60, what=f"{command} is ready")
        yield process
    finally:
        await child.stop(timedelta(seconds=15))


async def run(*arguments: str, environment: Environment, within: float = 60) -> tuple[int, str, str]:
    """``tailrace ARGUMENTS`` to its end: exit code, output and errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "streams.cli",
        *arguments,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(), within)
    return process.returncode or 0, out.decode(), errors.decode()


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
