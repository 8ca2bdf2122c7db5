"""Waiting for a server that was just started."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from streams.devstack.processes import Child

Tell = Callable[[str, str], None]
"""Told which part of the stack is at what."""

POLL = 0.03
STEP = timedelta(seconds=10)


def tell_nobody(part: str, message: str) -> None:
    """For those who do not watch."""


async def until_ready(child: Child, ready: Callable[[], Awaitable[bool]], deadline: timedelta) -> None:
    """Return when ``ready`` answers true. Raises ``DevStackError`` if the child ends or the time runs out."""
    end = time.monotonic() + deadline.total_seconds()
    while True:
        answered = await _in_time(ready)
        # Looked at first: when its port was taken, it is another program that answers.
        if child.exit_code is not None:
            raise child.failure("ended while it started")
        if answered:
            return
        if time.monotonic() > end:
            raise child.failure(f"was not ready after {deadline.total_seconds():.0f} s")
        await asyncio.sleep(POLL)


async def _in_time(ready: Callable[[], Awaitable[bool]]) -> bool:
    try:
        async with asyncio.timeout(STEP.total_seconds()):
            return await ready()
    except TimeoutError:
        return False


async def all_or_none(*parts: Awaitable[None]) -> None:
    """Run all at once. The first error cancels the others, waits for them and is raised."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
