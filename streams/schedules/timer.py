"""The timer of a worker: looks each second for schedules that are due. Any number of workers have one."""

import asyncio
from collections.abc import Mapping

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.cancellation import is_cancelled
from streams.db import autocommit
from streams.health import Progress
from streams.metrics import Metrics
from streams.schedules import schedules_sql as sql
from streams.schedules.tick import TickFailed, tick
from streams.setting_groups import Schedules
from streams.task import Task

LONGEST_WAIT = 1.0
"""Seconds between two looks: a schedule that somebody has made or changed meanwhile waits no longer."""

AFTER_ERROR = 0.5

log = structlog.get_logger(__name__)


class Timer:
    """Turns due instants into runs. Several timers share the schedules: an instant that one deals with is none of
    the others', and one whose worker dies is dealt with by the next that looks.

    A schedule whose task is not in ``tasks`` is left alone: another worker may know it.
    """

    def __init__(
        self, engine: AsyncEngine, tasks: Mapping[str, Task], settings: Schedules, metrics: Metrics, progress: Progress
    ) -> None:
        self._engine = engine
        self._tasks = tasks
        self._grace = settings.grace
        self._metrics = metrics
        self._progress = progress

    async def run(self) -> None:
        """For ever, whatever happens in a round."""
        clock = asyncio.get_running_loop().time
        while True:
            look_again = clock() + LONGEST_WAIT
            try:
                # Asked before the round: what becomes due during it is looked for right after it.
                look_again = clock() + await self._until_next()
                if await self.round():
                    look_again = clock()
                self._progress.beat()
            except Exception as error:
                if is_cancelled():
                    raise
                log.warning("schedules could not be looked at, they are again in a moment", error=repr(error))
                look_again = max(look_again, clock() + AFTER_ERROR)
            await asyncio.sleep(max(0.0, look_again - clock()))

    async def round(self) -> bool:
        """Deal once with each schedule that is due; whether one of them has more instants that are."""
        dealt_with: set[str] = set()
        more = False
        while True:
            try:
                ticked = await tick(self._engine, self._tasks, self._grace, dealt_with)
            except TickFailed as failed:
                dealt_with.add(failed.schedule)
                await self._say(failed)
                continue
            if ticked is None:
                return more
            dealt_with.add(ticked.schedule)
            self._progress.beat()
            more = more or ticked.more
            for what, count in ticked.counts.items():
                self._metrics.ticks.labels(ticked.schedule, what).inc(count)

    async def _say(self, failed: TickFailed) -> None:
        """Show the problem with the schedule. It is tried again at the next look, and logged when it is news."""
        async with autocommit(self._engine) as connection:
            said = await connection.execute(sql.FAIL, {"name": failed.schedule, "error": str(failed)})
        if said.rowcount:
            log.error(
                "a schedule cannot run, mend it with `tailrace schedule edit`",
                schedule=failed.schedule,
                problem=str(failed),
            )

    async def _until_next(self) -> float:
        """Seconds until a schedule is due, at most a second."""
        async with autocommit(self._engine) as connection:
            seconds = (await connection.execute(sql.UNTIL_NEXT, {"tasks": list(self._tasks)})).scalar_one()
        return LONGEST_WAIT if seconds is None else min(max(float(seconds), 0.0), LONGEST_WAIT)
