"""The sweeper: finds runs that nobody will start any more, and puts their commands on their queues again.

It changes no state: who claims the copy finds the run as it was left, counts the take-over, and gives up on a run
that has outlived too many workers. A copy too many is a duplicate that the ledger knows.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import structlog
from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.envelope import Headers
from schemas.topics import QUEUE_BY_NAME, QUEUE_BY_TOPIC
from streams import sweeper_sql as sql
from streams.lanes import low_priority
from streams.metrics import Metrics
from streams.outbox import WAKE, pack_headers
from streams.settings import Settings
from streams.submission import command_headers, command_of

AT_MOST = 1000
"""Runs of one sweep: a long backlog must not fill queues and outbox with copies of itself."""

INTERVAL = timedelta(seconds=5)
"""How often ``sweep`` is meant to be called."""

BEHIND = timedelta(minutes=1)
"""A relay that is so late has copies enough: what waits for it is overdue, and not forgotten."""

SHARE = 0.05
"""Of its time, at most, a worker looks for overdue runs, however long the queues are on which they wait."""

log = structlog.get_logger(__name__)


class Sweeper:
    """In each worker; the one that comes first sweeps for all."""

    def __init__(
        self, engine: AsyncEngine, settings: Settings, metrics: Metrics, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._sweep_after = settings.ledger.sweep_after
        self._metrics = metrics
        self._now = now
        self._rests_until = now()

    async def sweep(self) -> int:
        """Put what was left behind or forgotten on its queue again, marks and copies in one transaction; how many.

        A run whose lease is over is swept at once, one that waits when it is overdue for ``ledger.sweep_after``, and
        each again only after twice the time. None is swept while a copy of it waits, nor while its queue is paused.
        """
        async with self._engine.begin() as connection:
            if not (await connection.execute(sql.TRY_LOCK)).scalar_one():
                return 0
            wanted = {"queues": list(QUEUE_BY_NAME), "sweep_after": self._sweep_after}
            queues = (await connection.execute(sql.QUEUES, wanted)).all()
            lost = await self._mark(connection, sql.MARK_LOST, [queue.name for queue in queues], AT_MOST)
            settled = [queue.name for queue in queues if queue.settled]
            swept = [*lost, *await self._overdue(connection, settled, AT_MOST - len(lost))]
            if swept:
                await connection.execute(sql.PUT_COPIES, _copies(swept))
                await connection.execute(WAKE)
        for state, count in Counter(row.state for row in swept).items():
            self._metrics.swept.labels(state).inc(count)
            log.warning("runs put on their queues again", state=state, runs=count)
        return len(swept)

    async def _overdue(self, connection: AsyncConnection, queues: list[str], at_most: int) -> Sequence[Any]:
        began = self._now()
        if began < self._rests_until:
            return []
        asked = {"behind": BEHIND, "topics": list(QUEUE_BY_TOPIC)}
        if (await connection.execute(sql.RELAY_IS_BEHIND, asked)).scalar_one():
            return []
        marked = await self._mark(connection, sql.MARK_OVERDUE, queues, at_most)
        ended = self._now()
        self._rests_until = ended + (ended - began) / SHARE - INTERVAL.total_seconds()
        return marked

    async def _mark(
        self, connection: AsyncConnection, statement: TextClause, queues: list[str], at_most: int
    ) -> Sequence[Any]:
        parameters = {"queues": queues, "sweep_after": self._sweep_after, "at_most": at_most}
        return (await connection.execute(statement, parameters)).all()


def _headers(row: Any) -> Headers:
    """A replay's command stays behind live work."""
    return command_headers(row.task, low_priority(row.replay) if row.replay is not None else ())


def _copies(rows: Sequence[Any]) -> dict[str, list[Any]]:
    """One outbox row for each run, as columns."""
    return {
        "topics": [QUEUE_BY_NAME[row.queue].topic for row in rows],
        "keys": [row.key for row in rows],
        "headers": [pack_headers(_headers(row)) for row in rows],
        "payloads": [msgspec.json.encode(command_of(row)) for row in rows],
        "dedupe_keys": [f"live:{row.id}:{row.attempt}" for row in rows],
    }
