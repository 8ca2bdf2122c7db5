"""Time as an argument."""

import time
from datetime import UTC, datetime


class Clock:
    """The machine's clock; tests hand in their own."""

    def now(self) -> datetime:
        """The present instant, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()
