"""The whole stack: Kafka, PostgreSQL and the SMTP sink, started at once and gone together."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType

import platformdirs

from streams.devstack.aot import java_options
from streams.devstack.environment import places
from streams.devstack.kafka import Kafka
from streams.devstack.leftovers import FETCHING, TRAINING, remove_leftovers, remove_parts, remove_tree
from streams.devstack.postgres import Postgres
from streams.devstack.processes import PortClaims
from streams.devstack.readiness import Tell, all_or_none, tell_nobody
from streams.devstack.smtp_sink import SmtpSink
from streams.devstack.state import FolderLock, forget_state, write_state

GRACE = timedelta(seconds=2.5)
FOLDERS = ("kafka", "postgres", "mail", "logs", "media", "workers")
RESETTING = "resetting"


def default_data() -> Path:
    return platformdirs.user_data_path("tailrace")


def default_cache() -> Path:
    return platformdirs.user_cache_path("tailrace")


@dataclass(frozen=True)
class Ports:
    """Ports that are taken if they are free; 0 takes any free one."""

    kafka: int = 19092
    controller: int = 19093
    postgres: int = 15432
    smtp: int = 11025


ANY_PORTS = Ports(0, 0, 0, 0)


class Stack:
    """``async with Stack(data) as stack``: everything answers inside, and nothing is left after.

    Enter it from the main thread. ``durable=False`` lets a crash of the machine cost the database, for tests.
    ``stack.kafka``, ``stack.postgres`` and ``stack.smtp`` can each be stopped, killed and started again; they
    keep their ports and their data.
    """

    def __init__(
        self,
        data: Path,
        *,
        ports: Ports | None = None,
        cache: Path | None = None,
        durable: bool = True,
        tell: Tell = tell_nobody,
    ) -> None:
        self.data = data.resolve()
        self.logs, self.mail_dir = self.data / "logs", self.data / "mail"
        self.media_root, self.workers = self.data / "media", self.data / "workers"
        self.claims = PortClaims()
        self._lock = FolderLock(self.data)
        self._wanted = ports or Ports()
        self.cache = cache or default_cache()
        self._durable, self._tell = durable, tell

    @property
    def bootstrap_servers(self) -> str:
        return self.kafka.bootstrap_servers

    @property
    def database_url(self) -> str:
        return self.postgres.url

    @property
    def smtp_url(self) -> str:
        return self.smtp.url

    def environment(self) -> dict[str, str]:
        """The settings with which any program of ours uses this stack."""
        return places(self.bootstrap_servers, self.database_url, self.smtp_url, str(self.media_root))

    def announce(self, environment: dict[str, str], address: str) -> None:
        """Tell ``tailrace env`` what to print, and whoever finds the folder taken where our page is."""
        write_state(self.data, environment)
        self._lock.say_address(address)

    def reset(self) -> None:
        """Forget all data of earlier runs; the next start finishes it if this does not. No stack may be running.

        Raises ``DevStackError`` if the folder is not one of ours, is in use, or something in it cannot be removed.
        """
        self._lock.take()
        try:
            (self.data / RESETTING).touch()
            self._finish_reset()
        finally:
            self._lock.release()

    async def __aenter__(self) -> "Stack":
        self._lock.take()
        async with AsyncExitStack() as undoing:
            undoing.callback(self._let_go)
            self._tidy()
            self._place()
            undoing.push_async_callback(self._stop_servers)
            await all_or_none(self.kafka.start(), self.postgres.start(), self.smtp.start())
            write_state(self.data, self.environment())
            self._undoing = undoing.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._undoing.aclose()

    def _tidy(self) -> None:
        """Remove what runs that were killed have left."""
        self._finish_reset()
        forget_state(self.data)
        remove_tree(self.workers)
        self.media_root.mkdir(exist_ok=True)
        for folder in (self.mail_dir, self.media_root):
            remove_parts(folder)
        remove_leftovers(self.cache, TRAINING)
        remove_leftovers(self.cache / "kafka", FETCHING)

    def _finish_reset(self) -> None:
        """Half of the data, such as topics without their tables, must never be used."""
        if (self.data / RESETTING).exists():
            for name in FOLDERS:
                remove_tree(self.data / name)
            (self.data / RESETTING).unlink()

    def _place(self) -> None:
        """Choose the ports, which then stay."""
        wanted, tell = self._wanted, self._tell
        ports = self.claims.take(wanted.kafka), self.claims.take(wanted.controller)
        self.kafka = Kafka(
            self.data / "kafka", self.cache, self.logs / "kafka.log", ports, tell, java_options(self.cache)
        )
        log = self.logs / "postgres.log"
        self.postgres = Postgres(self.data / "postgres", log, self.claims.take(wanted.postgres), self._durable, tell)
        self.smtp = SmtpSink(self.mail_dir, self.claims.take(wanted.smtp))

    async def _stop_servers(self) -> None:
        await all_or_none(self.smtp.stop(), self.kafka.stop(GRACE), self.postgres.stop(GRACE))

    def _let_go(self) -> None:
        self.claims.release()
        forget_state(self.data)
        self._lock.release()
