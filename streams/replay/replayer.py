"""The part of a worker that reads replays: one at a time, from where the last reader's position was stored."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog
from aiokafka.errors import KafkaError
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.cancellation import is_cancelled
from streams.db import is_passing
from streams.metrics import Metrics
from streams.replay import store
from streams.replay.feeding import Feeding
from streams.replay.request import WrongReplay, understand
from streams.replay.shadow.comparing import Report
from streams.replay.shadow.rehearsing import Rehearsal, clean_up
from streams.replay.shadow.scratch import left_behind
from streams.replay.store import LostReplay, Replay
from streams.settings import Settings
from streams.task import Task

IDLE = 1.0
AFTER_ERROR = 1.0

MOST_TAKEOVERS = 5
"""A replay that has outlived so many workers without a step has failed: it probably kills them."""

log = structlog.get_logger(__name__)


class Replayer:
    """Reads whatever replay nobody reads, for ever."""

    def __init__(
        self,
        engine: AsyncEngine,
        settings: Settings,
        tasks: Sequence[Task],
        owner: str,
        metrics: Metrics,
        monotonic: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._tasks = tasks
        self._owner = owner
        self._metrics = metrics
        self._monotonic = monotonic

    async def run(self) -> None:
        """Take, read to the end, take the next; an error of broker or database only makes it later."""
        while True:
            try:
                replay = await store.take(self._engine, self._owner, self._settings.worker.lease)
                if replay is not None:
                    await self._read(replay)
                for scratch in await left_behind(self._engine):
                    await clean_up(self._engine, self._settings, scratch)
            except Exception as error:
                if is_cancelled() or not _passes(error):
                    raise
                log.warning("replays wait", error=repr(error))
                await asyncio.sleep(AFTER_ERROR)
            await asyncio.sleep(IDLE)

    async def _read(self, replay: Replay) -> None:
        log.info("replay is read", replay=replay.id, topic=replay.request.topic, mode=replay.request.mode)
        try:
            report = await self._do(replay)
        except LostReplay as lost:
            log.info("replay is left", replay=replay.id, reason=str(lost))
        except WrongReplay as error:
            await self._fail(replay, str(error))
        except Exception as error:
            if is_cancelled() or _passes(error):
                await self._give_back(replay)
                raise
            log.exception("replay has failed", replay=replay.id)
            await self._fail(replay, repr(error))
        except asyncio.CancelledError:
            await self._give_back(replay)
            raise
        else:
            await store.release(self._engine, replay, state="done", report=report)
            log.info("replay is done", replay=replay.id, read=replay.counts.read)

    async def _do(self, replay: Replay) -> Report | None:
        """All of it; what a shadow has found."""
        if replay.takeovers > MOST_TAKEOVERS:
            raise WrongReplay(f"{replay.takeovers} workers were lost while they read it, and none got any further")
        understood = understand(replay.request, self._tasks, replay.since, replay.until)
        selection = replace(understood, replay=replay.id)
        if replay.request.mode == "shadow":
            return await Rehearsal(self._engine, self._settings, replay, selection, self._monotonic).run()
        await Feeding(self._engine, self._settings, replay, selection, self._metrics, self._monotonic).run()
        return None

    async def _fail(self, replay: Replay, reason: str) -> None:
        log.error("replay has failed", replay=replay.id, reason=reason)
        await store.release(self._engine, replay, state="failed", error=reason)

    async def _give_back(self, replay: Replay) -> None:
        """So that the next reader need not wait for the lease. While the database is away it does."""
        try:
            await store.release(self._engine, replay)
        except Exception as error:  # noqa: BLE001 - the lease runs out in any case
            log.warning("replay is not given back: its lease must run out", replay=replay.id, error=repr(error))


def _passes(error: BaseException) -> bool:
    return isinstance(error, KafkaError) or is_passing(error)
