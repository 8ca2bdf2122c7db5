"""How fast a storm blows, and how long something must hold."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Give = Callable[[int], Awaitable[object]]


async def throughout(seconds: float, condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Fails as soon as the condition does not hold, and returns when it has held for so long."""
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        assert await condition(), what
        await asyncio.sleep(0.2)


@asynccontextmanager
async def meanwhile(give: Give, per_second: float, in_all: int | None = None) -> AsyncIterator[asyncio.Task[None]]:
    """``give(n)`` is awaited ten times a second for as many as are due by then: until ``in_all`` are given, or to
    the end of the block. The task ends with the last of them; what it raises is raised at the end.
    """
    stop = asyncio.Event()
    giving = asyncio.create_task(_give(give, per_second, in_all, stop))
    try:
        yield giving
        if in_all is not None:
            await giving
    finally:
        stop.set()
        await giving


async def _give(give: Give, per_second: float, in_all: int | None, stop: asyncio.Event) -> None:
    began, given = asyncio.get_running_loop().time(), 0
    while not stop.is_set() and given != in_all:
        due = int((asyncio.get_running_loop().time() - began) * per_second)
        count = min(due, in_all or due) - given
        if count > 0:
            await give(count)
            given += count
        await asyncio.sleep(0.1)
