"""Wait for a condition, with a deadline: no test sleeps."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(condition: Callable[[], T | Awaitable[T]], within: float = 30, what: str = "") -> T:
    """The first true value of ``condition``. Fails, with its last value, when there is none in time."""
    deadline = asyncio.get_running_loop().time() + within
    while True:
        found = condition()
        value = await found if inspect.isawaitable(found) else found
        if value:
            return value  # type: ignore[return-value]
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not within {within} s: {what or condition}; last seen {value!r}")
        await asyncio.sleep(0.02)
