"""Do something again and again, whatever happens to it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from streams.cancellation import is_cancelled

log = structlog.get_logger(__name__)


async def every(interval: timedelta, what: str, action: Callable[[], Awaitable[object]]) -> None:
    """Await ``action`` each ``interval``, for ever. What it raises is logged and it is tried at the next."""
    while True:
        try:
            await action()
        except Exception as error:
            if is_cancelled():
                raise
            log.warning("periodic work failed, it is tried again", what=what, error=repr(error))
        await asyncio.sleep(interval.total_seconds())
