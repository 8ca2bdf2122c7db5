"""Who leads the relays: an advisory lock, and proof of life for as long as it is held.

The lock ends with its connection. A leader whose process is stopped, or whose machine is gone, keeps both, so
who leads touches the connection at least every second, whatever it waits for, and who stands by ends the session
of a leader that has been silent for longer. No row is written for that.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import asyncpg
import structlog

from streams import relay_sql as sql
from streams.health import Progress

T = TypeVar("T")

STANDBY_POLL = timedelta(milliseconds=500)
TOUCH_EVERY = timedelta(seconds=1)
SILENT_AFTER = timedelta(seconds=3.5)
"""With a standby's poll, and the start of a producer, less than the 5 s that a take-over may last."""

log = structlog.get_logger(__name__)


class LeadLapsed(Exception):
    """We were silent for so long that another may lead by now."""


class Lead:
    """The right to publish, on the connection that holds the lock. Every use of that connection goes through here."""

    def __init__(self, connection: asyncpg.Connection, now: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._now = now
        self._touched = now()

    async def fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Rows, and proof of life as of the asking: the answer may have lain there while we were stopped."""
        asked = self._now()
        found = await self._connection.fetch(statement, *arguments)
        self._touched = asked
        return found

    async def execute(self, statement: str, *arguments: object) -> None:
        """The same without rows."""
        asked = self._now()
        await self._connection.execute(statement, *arguments)
        self._touched = asked

    def require(self) -> None:
        """Raises ``LeadLapsed`` where another may lead: what we have read is no longer ours to send."""
        silent = self._now() - self._touched
        if silent > SILENT_AFTER.total_seconds():
            raise LeadLapsed(f"silent for {silent:.1f} s: another relay may lead")

    async def keep_during(self, work: Coroutine[Any, Any, T]) -> T:
        """Do work that does not use the connection, however long it takes, and keep the lead meanwhile."""
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait([task], timeout=TOUCH_EVERY.total_seconds()))[0]:
                await self.execute(sql.TOUCH)
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def stand_by(connection: asyncpg.Connection, progress: Progress) -> Lead:
    """Returns when the lock is ours: at once, when its holder has gone, or has been silent for too long."""
    told: set[int] = set()
    while not await connection.fetchval(sql.TRY_LOCK):
        progress.beat()
        for holder in await connection.fetch(sql.HOLDER, SILENT_AFTER):
            hindrance = await _hindrance(connection, holder)
            if hindrance and holder["pid"] not in told:
                told.add(holder["pid"])
                log.warning("a relay that hangs would not be replaced", role=holder["role"], needed=hindrance)
        await asyncio.sleep(STANDBY_POLL.total_seconds())
    return Lead(connection)


async def _hindrance(connection: asyncpg.Connection, holder: asyncpg.Record) -> str | None:
    """End the holder's session if it is silent; what our role would need where it may not see or do that."""
    if holder["silent"] is None:
        return f"GRANT pg_read_all_stats, pg_signal_backend TO {holder['own_role']}"
    if holder["silent"]:
        try:
            await connection.fetchval(sql.TERMINATE, holder["pid"])
        except asyncpg.InsufficientPrivilegeError:
            return f"GRANT pg_signal_backend TO {holder['own_role']}"
        log.warning("ended the session of a silent relay", session=holder["pid"], role=holder["role"])
    return None
