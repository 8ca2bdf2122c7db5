"""Wait for a condition, with a deadline: no test sleeps."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(condition: Callable[[], Awaitable[T]], within: float = 30, what: str = "") -> T: ...
@overload
async def eventually(condition: Callable[[], T], within: float = 30, what: str = "") -> T: ...
async def eventually(condition: Callable[[], Any], within: float = 30, what: str = "") -> Any:
    """The first true value of ``condition``. Fails, with its last value, when there is none in time."""
    deadline = asyncio.get_running_loop().time() + within
    while True:
        found = condition()
        value = await found if inspect.isawaitable(found) else found
        if value:
            return value
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not within {within} s: {what or condition}; last seen {value!r}")
        await asyncio.sleep(0.02)
