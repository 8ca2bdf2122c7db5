"""How many runs of a replay may be open at once: as many as live work does not feel."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from streams.replay import replay_sql as sql

FIRST = 20
STEP = 20
LOOK_EVERY = 1.0


class Throttle:
    """The window: it doubles until live work is slow for the first time; from then on it halves whenever that is slow,
    and grows by steps again.
    """

    def __init__(self, most: int, patience: timedelta, monotonic: Callable[[], float]) -> None:
        self._most = most
        self._patience = patience
        self._monotonic = monotonic
        self._look_at = monotonic()
        self.window = min(FIRST, most)
        self._was_slow = False
        self.lag = timedelta()

    async def look(self, connection: AsyncConnection) -> None:
        """Measure how long live work waits, at most once a second."""
        if self._monotonic() < self._look_at:
            return
        found = (await connection.execute(sql.LIVE_LAG)).scalar_one()
        self.note(timedelta(seconds=float(found or 0)))
        self._look_at = self._monotonic() + LOOK_EVERY

    def note(self, lag: timedelta) -> None:
        """Live work waits so long."""
        self.lag = lag
        if lag > self._patience:
            self._was_slow = True
            self.window = max(1, self.window // 2)
        else:
            self.window = min(self._most, self.window + STEP if self._was_slow else self.window * 2)
