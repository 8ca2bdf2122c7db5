"""Child processes that die with this one, whatever kills it, and ports for them."""

import asyncio
import os
import random
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from streams.devstack.errors import DevStackError, last_lines

LAUNCHER = Path(__file__).with_name("launcher.py")
MAX_LOG_BYTES = 20_000_000

# Below the range from which Linux takes the ports of outgoing connections: a client that keeps trying to
# reach a stopped server on a port of that range can end up connected to itself, and the port is then lost.
FREE_PORTS = range(20_000, 32_000)

Identity = Literal["own", "mapped", "nobody"]
"""As whom a program runs: as we are; as we are and seen as nobody; as the user nobody."""


@dataclass(frozen=True)
class Program:
    """What to run. Its output is appended to ``log``; ``death_signal`` is sent to it when we die."""

    name: str
    argv: tuple[str, ...]
    log: Path
    environment: Mapping[str, str]
    folder: Path | None = None
    identity: Identity = "own"
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL


class Child:
    """One run of a program, in a session of its own, so that a Ctrl-C in the terminal reaches only us."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process) -> None:
        self.program = program
        self._process = process

    @classmethod
    async def start(cls, program: Program) -> "Child":
        """Start it. Call from the main thread: the kernel ties the child to the thread that forked it."""
        program.log.parent.mkdir(parents=True, exist_ok=True)
        if program.log.exists() and program.log.stat().st_size > MAX_LOG_BYTES:
            program.log.replace(program.log.with_suffix(".1.log"))
        launch = (sys.executable, "-I", "-S", str(LAUNCHER), str(int(program.death_signal)), str(os.getpid()))
        with program.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *launch,
                program.identity,
                *program.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(program.environment),
                cwd=program.folder,
                start_new_session=True,
            )
        return cls(program, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._process.returncode

    async def wait(self) -> int:
        return await self._process.wait()

    async def stop(self, grace: timedelta) -> None:
        """Ask it to stop; after ``grace`` kill it. It is gone on return."""
        if self.exit_code is not None:
            return
        self._process.send_signal(self.program.stop_signal)
        try:
            async with asyncio.timeout(grace.total_seconds()):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """SIGKILL to it and to what it started in its session. It is gone on return."""
        if self.exit_code is None:
            os.killpg(self.pid, signal.SIGKILL)
            await self._process.wait()

    def failure(self, doing: str) -> DevStackError:
        """The error that says that it ended while ``doing``, with the end of its log."""
        name, log = self.program.name, self.program.log
        how = "it still runs" if self.exit_code is None else f"exit code {self.exit_code}"
        return DevStackError(f"{name} {doing} ({how}). {log} ends:\n{last_lines(log)}")


async def run_to_end(program: Program) -> None:
    """Run it and wait. Raises ``DevStackError`` if it fails; it does not outlive a cancellation."""
    child = await Child.start(program)
    try:
        if await child.wait() != 0:
            raise child.failure("failed")
    finally:
        await child.kill()


class PortClaims:
    """Ports that no other stack on this machine takes until ``release``, or our end.

    Between the choice of a port and the moment when the server listens there, somebody else may start too. A
    claim is a name in Linux's abstract namespace, which the kernel forgets with the process that holds it.
    """

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def take(self, preferred: int = 0) -> int:
        """``preferred`` if it is free, else any other port on 127.0.0.1 that is."""
        for port in [preferred] * (preferred > 0) + random.sample(FREE_PORTS, 100):
            claim = _claim(port)
            if claim and _bindable(port):
                self._held.append(claim)
                return port
            if claim:
                claim.close()
        raise DevStackError("no free port was found on 127.0.0.1; what listens there? (ss -ltn)")

    def release(self) -> None:
        for claim in self._held:
            claim.close()
        self._held.clear()


def free_port() -> int:
    """A port on 127.0.0.1 that is free now and that no stack has claimed."""
    claims = PortClaims()
    try:
        return claims.take()
    finally:
        claims.release()


def _claim(port: int) -> socket.socket | None:
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0tailrace-port-{port}")
    except OSError:
        claim.close()
        return None
    return claim


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def clean_environment(*without: str) -> dict[str, str]:
    """Our environment less the names in ``without``."""
    return {name: value for name, value in os.environ.items() if name not in without}
