"""How many events a server takes in: a token bucket."""

from collections.abc import Callable

BURST = 2.0
"""Seconds of the rate that may come at once."""


class TokenBucket:
    """Holds two seconds' worth of tokens and fills at ``rate`` a second; ``clock`` gives seconds that only grow.

    Who takes more than there is leaves a debt that is waited for by all, so that a batch of any size can pass.
    """

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._rate, self._clock = rate, clock
        self._tokens = rate * BURST
        self._at = clock()

    def wait(self) -> float:
        """Seconds until something may be taken; 0 where it may be now."""
        now = self._clock()
        self._tokens = min(self._rate * BURST, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return max(0.0, (1 - self._tokens) / self._rate)

    def take(self, count: int) -> None:
        """Take ``count`` tokens."""
        self._tokens -= count
