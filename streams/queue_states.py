"""Which queues are paused: by an operator until it is resumed, or by a worker whose runs die one after the other."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.topics import QUEUE_BY_NAME
from streams.db import autocommit, is_passing, until_available
from streams.metrics import Metrics

# Every queue that somebody has ever paused.
LIST = text("SELECT name, paused, automatic, reason, changed_at FROM tailrace.queues ORDER BY name")

# Pause a queue. What an operator has paused stays the operator's; an operator who pauses what a worker had
# paused takes it over. The row says when the pause began.
PAUSE = text("""
    INSERT INTO tailrace.queues AS queue (name, paused, automatic, reason, changed_at)
    VALUES (:name, true, :automatic, :reason, clock_timestamp())
    ON CONFLICT (name) DO UPDATE
       SET paused = true, automatic = excluded.automatic, reason = excluded.reason,
           changed_at = CASE WHEN queue.paused THEN queue.changed_at ELSE excluded.changed_at END
     WHERE NOT (queue.paused AND excluded.automatic)
    RETURNING name
""")

# Let it run again.
RESUME = text("""
    UPDATE tailrace.queues
       SET paused = false, automatic = false, reason = NULL, changed_at = clock_timestamp()
     WHERE name = :name AND paused
    RETURNING name
""")

log = structlog.get_logger(__name__)


class UnknownQueue(Exception):
    """No queue has this name; the message names the nearest and all."""


@dataclass(frozen=True)
class QueueState:
    """A queue that is or was paused, by whom (``automatic``: by a worker), why, and since when."""

    name: str
    paused: bool
    automatic: bool
    reason: str | None
    changed_at: datetime


def check_queue(name: str) -> str:
    """The name, if there is such a queue. Raises ``UnknownQueue``."""
    if name in QUEUE_BY_NAME:
        return name
    near = difflib.get_close_matches(name, QUEUE_BY_NAME, n=1, cutoff=0.4)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise UnknownQueue(f"there is no queue {name!r}{hint}; the queues are {', '.join(QUEUE_BY_NAME)}")


async def list_states(connection: AsyncConnection) -> list[QueueState]:
    """Every queue that somebody has ever paused; one that is not there runs."""
    return [QueueState(*row) for row in await connection.execute(LIST)]


async def pause(connection: AsyncConnection, queue: str, reason: str | None, *, automatic: bool = False) -> bool:
    """No worker starts a run of this queue any more; what runs ends. False where it was ``automatic`` and the
    queue is paused already. Raises ``UnknownQueue``.
    """
    values = {"name": check_queue(queue), "reason": reason, "automatic": automatic}
    return (await connection.execute(PAUSE, values)).first() is not None


async def resume(connection: AsyncConnection, queue: str) -> bool:
    """Its runs start again. False where it was not paused. Raises ``UnknownQueue``."""
    return (await connection.execute(RESUME, {"name": check_queue(queue)})).first() is not None


class QueueStates:
    """What a worker knows of the pauses, as of its last ``refresh``."""

    def __init__(self, engine: AsyncEngine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._states: Sequence[QueueState] = ()
        self._known = False
        self._away = False
        self.paused: frozenset[str] = frozenset()

    async def refresh(self) -> None:
        """Read the pauses. While the database is away, what was known last holds; raises where nothing is known yet."""
        try:
            async with autocommit(self._engine) as connection:
                found = await list_states(connection)
        except Exception as error:
            if not (self._known and is_passing(error)):
                raise
            if not self._away:
                log.warning("the database is away: queues stay as they are", error=repr(error))
            self._away = True
            return
        self._known, self._away = True, False
        self._take(found)

    def _take(self, found: Iterable[QueueState]) -> None:
        """Say what has changed, here and in the metrics."""
        self._states = [state for state in found if state.paused]
        paused = frozenset(state.name for state in self._states)
        for state in self._states:
            if state.name not in self.paused:
                log.warning("queue is paused", queue=state.name, reason=state.reason, automatic=state.automatic)
        for name in self.paused - paused:
            log.info("queue is resumed", queue=name)
        for name in QUEUE_BY_NAME:
            self._metrics.queue_paused.labels(name).set(name in paused)
        self.paused = paused

    def problem(self) -> str | None:
        """The queues that a worker has paused, for ``/readyz``; an operator's pause is no problem."""
        automatic = [state for state in self._states if state.automatic]
        return (
            "; ".join(
                f"{state.name} is paused since {state.changed_at.isoformat(timespec='seconds')}: {state.reason}. "
                f"Mend the cause, then `tailrace queue resume {state.name}`"
                for state in automatic
            )
            or None
        )


class DeadStreaks:
    """Dead runs in a row, for each queue, in this worker: ``limit`` of them pause the queue, 0 never does."""

    def __init__(self, engine: AsyncEngine, states: QueueStates, limit: int) -> None:
        self._engine = engine
        self._states = states
        self._limit = limit
        self._dead: dict[str, int] = {}

    def note(self, queue: str, state: str) -> bool:
        """Count a run that has been recorded: True exactly where it is the one that reaches the limit, after which
        the count begins anew. Only ``done`` and ``skipped`` end a row of dead ones.
        """
        if state in ("done", "skipped"):
            self._dead.pop(queue, None)
        if state != "dead":
            return False
        self._dead[queue] = self._dead.get(queue, 0) + 1
        if self._dead[queue] != self._limit:
            return False
        del self._dead[queue]
        return True

    async def pause_if_needed(self, queue: str, state: str) -> None:
        """``note``, and at the limit pause the queue for all workers. Waits while the database is away."""
        if self.note(queue, state):
            await until_available(lambda: self._pause(queue), f"pause {queue}")
            await self._states.refresh()

    async def _pause(self, queue: str) -> None:
        reason = f"{self._limit} runs in a row were dead; see `tailrace runs list --state dead --queue {queue}`"
        async with self._engine.begin() as connection:
            await pause(connection, queue, reason, automatic=True)
