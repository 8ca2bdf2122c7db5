"""A process as a test can end or freeze it: the tasks that it has begun, and the points that it comes to."""

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from types import CoroutineType
from typing import Any

from aiokafka.errors import KafkaError

from streams.relay_lead import LeadLapsed
from tests.crash_points import Crash, Fate, Point

PROCESS: ContextVar["Process"] = ContextVar("process")
"""Whose code runs."""

ENDS_A_ROUND = (OSError, KafkaError, LeadLapsed)
"""What a relay, a timer or a sweeper ends its round with when its connection is gone; the next round comes."""


class Fates:
    """The one fate that is laid out for whoever comes to its point first, and those that were met."""

    def __init__(self) -> None:
        self._next: tuple[Point, Fate] | None = None
        self.met: list[tuple[Point, Fate]] = []

    def lay_out(self, point: Point, fate: Fate) -> None:
        self._next = point, fate

    def clear(self) -> None:
        """Nothing happens to anybody from now on."""
        self._next = None

    def take(self, point: Point) -> Fate | None:
        """The fate of whoever is here now."""
        if self._next is None or self._next[0] is not point:
            return None
        self.met.append(self._next)
        fate, self._next = self._next[1], None
        return fate


class Process:
    """One program. It takes one step after the other, each to its end, or until it is frozen or gone."""

    def __init__(self, name: str, fates: Fates) -> None:
        self.name = name
        self.dead = False
        self.stalled_at: Point | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
        self._fates = fates
        self._going = asyncio.Event()
        self._going.set()
        self._news = asyncio.Event()
        self._dying: asyncio.Task[Any] | None = None
        self._step: asyncio.Task[Any] | None = None

    async def reach(self, point: Point) -> None:
        """Come to a point: go on, or meet the fate that is laid out there."""
        await self.may_go_on()
        fate = self._fates.take(point)
        if fate is Fate.CRASH:
            self._crash(point)
        if fate is Fate.CUT:
            raise ConnectionResetError(f"cut: {point.value}")
        if fate is Fate.STALL:
            self.stalled_at = point
            self._going.clear()
            self._news.set()
            await self.may_go_on()

    def reach_at_once(self, point: Point) -> None:
        """The same where nothing can be waited for."""
        if self.dead:
            raise Crash(self.name)
        if self._fates.take(point):
            self._crash(point)

    async def may_go_on(self) -> None:
        """The frozen wait here, the dead end here."""
        await self._going.wait()
        if self.dead:
            raise Crash(self.name)

    async def take_step(self, step: Coroutine[Any, Any, Any]) -> None:
        """Begin a step; returns when it has ended, or is frozen, or the process is gone."""
        assert self._step is None, f"{self.name} is at {self.stalled_at}"
        whose = PROCESS.set(self)
        self._step = asyncio.create_task(step, name=f"step of {self.name}")
        PROCESS.reset(whose)
        await self._watch()

    async def resume(self) -> None:
        """A frozen process goes on."""
        self.stalled_at = None
        self._news.clear()
        self._going.set()
        await self._watch()

    async def kill(self) -> None:
        """It is gone, wherever it is; returns when its transactions are rolled back."""
        self.dead = True
        self._going.set()
        self.stalled_at = None
        if self._dying:
            await asyncio.wait([self._dying])
        left = {*self.tasks, *(task for task in (self._step, self._dying) if task)}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self._step = self._dying = None

    def _crash(self, point: Point) -> None:
        self.dead = True
        self._dying = asyncio.current_task()
        self._news.set()
        raise Crash(f"{self.name}: {point.value}")

    async def _watch(self) -> None:
        assert self._step is not None
        news = asyncio.create_task(self._news.wait())
        try:
            async with asyncio.timeout(20):
                await asyncio.wait([self._step, news], return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        if self.dead:
            await self.kill()
        elif self._step.done():
            ended, self._step = self._step, None
            error = ended.exception()
            if error and not isinstance(error, ENDS_A_ROUND):
                raise error


def owned_tasks(
    loop: asyncio.AbstractEventLoop, work: "CoroutineType[Any, Any, Any]", **options: Any
) -> asyncio.Task[Any]:
    """A loop's task factory that notes whose task each is. Those in which a library closes a connection are nobody's:
    they end by themselves, and would leak it if they did not.
    """
    task = asyncio.Task(work, loop=loop, **options)
    process = PROCESS.get(None)
    if process is not None and "site-packages" not in work.cr_code.co_filename:
        process.tasks.add(task)
        task.add_done_callback(process.tasks.discard)
    return task
