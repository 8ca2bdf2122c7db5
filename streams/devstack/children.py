"""The worker and the server of ``tailrace up``: the same commands that anybody runs, kept running."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from streams.devstack.errors import DevStackError
from streams.devstack.local_http import LocalHttp
from streams.devstack.processes import Child, Program
from streams.devstack.readiness import until_ready

START_DEADLINE = timedelta(seconds=90)
GRACE = timedelta(seconds=2)
PAUSE = timedelta(seconds=1)
POLL = 0.1


def tailrace(command: str, environment: Mapping[str, str], logs: Path) -> Program:
    """``tailrace COMMAND`` with settings from the environment only; SIGKILL if we die (an orphan would hang)."""
    argv = (sys.executable, "-m", "streams.cli", command)
    return Program(command, argv, logs / f"{command}.log", environment)


class KeptRunning:
    """A program that is started again when it ends, unless it ends before it was ever ready."""

    def __init__(self, program: Program, health: str, http: LocalHttp, say: Callable[[str], None]) -> None:
        """``health`` is the address that answers 200 when it has started."""
        self.name, self._health = program.name, health
        self._program, self._http, self._say = program, http, say
        self._child: Child | None = None
        self._problem: str | None = None

    async def start(self) -> None:
        """Start it; it says that it is well on return. Raises ``DevStackError`` with the end of its log."""
        self._child = await Child.start(self._program)
        try:
            await until_ready(self._child, self._is_well, START_DEADLINE)
        except DevStackError as error:
            raise DevStackError(f"{error}\n{self._health} says: {self._problem}") from error

    async def _is_well(self) -> bool:
        self._problem = await self._http.problem(self._health)
        return self._problem is None

    async def keep(self) -> None:
        """Start it again whenever it ends, until cancelled."""
        while self._child:
            code = await self._child.wait()
            self._say(f"{self.name} ended by itself (exit code {code}), see {self._program.log}; starting it again")
            await asyncio.sleep(PAUSE.total_seconds())
            self._child = await Child.start(self._program)

    async def stop(self) -> None:
        if self._child:
            await self._child.stop(GRACE)
