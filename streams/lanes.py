"""What waits, is claimed and runs in one queue of this worker."""

import math
from collections import deque
from dataclasses import dataclass, field

from streams.records import Delivery
from streams.runs import Run

AHEAD = 0.1
"""Seconds of work that are claimed before it can start: enough to hide the claim's round trip."""
MEASURED_OVER = 0.25
"""Seconds: longer than the bursts that claims make of the starts."""

SLACK = 4
"""How many times what it starts soon a queue may have claimed: a slow moment must not cost it its share."""

STARVED_AFTER = 5.0
LEFT_OUT_AFTER = 0.5


@dataclass
class Lane:
    """One queue. ``limit``: its runs at once. Deliveries wait in the order of their partition."""

    queue: str
    limit: int
    waiting: deque[Delivery] = field(default_factory=deque)
    ready: deque[Run] = field(default_factory=deque)
    claiming: int = 0
    running: int = 0
    rate: float = 0.0
    kept_out_since: float = 0.0
    _claimed_at: float = 0.0
    _starts: int = 0
    _measured_at: float = 0.0

    @property
    def may_start(self) -> bool:
        """Whether it has a claimed run, and room for it."""
        return bool(self.ready) and self.running < self.limit

    def is_starved(self, now: float) -> bool:
        """Whether other queues' long runs have kept every run of this one out for too long."""
        return self.running == 0 and now - self.kept_out_since > STARVED_AFTER

    def claimed(self, run: Run, now: float) -> None:
        """The run may start when it is this queue's turn."""
        if not self.ready:
            self.kept_out_since = now
        self.ready.append(run)

    def start(self, now: float) -> Run:
        """The run whose turn it is."""
        self.running += 1
        self.kept_out_since = now
        self._starts += 1
        return self.ready.popleft()

    def hold_back(self, paused: bool) -> list[Run]:
        """The claimed runs that may not start, because the queue is paused or their partition is gone; of these the
        deliveries wait again.
        """
        leaving = [run for run in self.ready if paused or not run.received.delivery.live]
        if leaving:
            self.ready = deque(run for run in self.ready if not paused and run.received.delivery.live)
            self.waiting.extendleft(run.received.delivery for run in reversed(leaving))
        return leaving

    def measure(self, now: float) -> None:
        """Follow the rate of starts."""
        passed = now - self._measured_at
        if passed >= MEASURED_OVER:
            self.rate = (self.rate + self._starts / passed) / 2
            self._starts, self._measured_at = 0, now

    def forget_lost(self) -> None:
        """Drop what waits of partitions that are gone."""
        self.waiting = deque(delivery for delivery in self.waiting if delivery.live)

    @property
    def soon(self) -> int:
        """How many start in the time that a claim is made ahead."""
        return math.ceil(self.rate * AHEAD)

    def may_claim(self, room: int) -> bool:
        """Whether something waits that could start soon: in the ``room`` that is free now, or by the rate of starts."""
        while self.waiting and not self.waiting[0].live:
            self.waiting.popleft()
        if not self.waiting:
            return False
        return len(self.ready) + self.claiming < max(1, min(room, self.limit - self.running), SLACK * self.soon)

    def is_left_out(self, now: float) -> bool:
        """Whether nothing of it was claimed for long, and nothing is ready."""
        return not self.ready and not self.claiming and now - self._claimed_at > LEFT_OUT_AFTER

    def claim(self, now: float) -> Delivery:
        """The delivery that is next, to be claimed now."""
        self.claiming += 1
        self._claimed_at = now
        return self.waiting.popleft()
