"""The gate between queues: under contention each gets starts in proportion to its priority.

Stride scheduling: each start moves a queue's position on by 1/priority, and the queue that is furthest behind goes
next. Source: C. Waldspurger, W. Weihl, "Stride Scheduling", MIT/LCS/TM-528, 1995.
"""

from collections.abc import Collection, Mapping

CREDIT = 2.0
"""How far behind the others a queue may stay while it has nothing ready: twice as many starts as its priority."""


class Gate:
    """Whose turn it is. Work-conserving: only queues that have something ready are asked."""

    def __init__(self, priorities: Mapping[str, float]) -> None:
        self._priorities = dict(priorities)
        self._positions = dict.fromkeys(priorities, 0.0)
        self._last = 0.0

    def next(self, ready: Collection[str]) -> str:
        """The queue, of those that are ready, whose turn it is; the start is charged to it.

        One that comes back from idleness does not catch up on what it did not ask for, but for ``CREDIT``.
        """
        chosen = min(ready, key=self._turn)
        self._last = max(self._positions[chosen], self._last - CREDIT)
        self._positions[chosen] = self._last + 1 / self._priorities[chosen]
        return chosen

    def _turn(self, queue: str) -> tuple[float, float]:
        return max(self._positions[queue], self._last - CREDIT), -self._priorities[queue]
