"""No more mails a second than a mail server's owner allows."""

import asyncio
import time
from collections.abc import Awaitable, Callable


class Pace:
    """Starts that are evenly spread: ``per_second`` of them; 0 is as many as there are."""

    def __init__(
        self,
        per_second: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._gap = 1 / per_second if per_second else 0.0
        self._now, self._sleep = now, sleep
        self._next = 0.0

    async def wait(self) -> None:
        """Return when it is the caller's turn: in the order of asking."""
        if not self._gap:
            return
        turn = max(self._next, self._now())
        self._next = turn + self._gap
        if (wait := turn - self._now()) > 0:
            await self._sleep(wait)
