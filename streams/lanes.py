"""What waits, is claimed and runs in one queue of this worker."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.envelope import Headers
from streams.records import Delivery
from streams.runs import Run

LOW_PRIORITY = "tailrace-replay"
"""Header of a replay's commands, with its number: they wait in a lane of their own, behind what is live."""

LOW_WEIGHT = 0.1
"""Of its queue's priority, what the lane of replays has."""

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
    """One queue, or with ``live`` the replays' part of it. ``limit``: its runs at once, with those of the lane beside
    it, whose live work it leaves half of the places. Deliveries wait in the order of their partition.
    """

    queue: str
    limit: int
    live: "Lane | None" = None
    waiting: deque[Delivery] = field(default_factory=deque)
    ready: deque[Run] = field(default_factory=deque)
    claiming: int = 0
    running: int = 0
    low_running: int = 0
    rate: float = 0.0
    kept_out_since: float = 0.0
    _claimed_at: float = 0.0
    _starts: int = 0
    _measured_at: float = 0.0

    @property
    def name(self) -> str:
        """Of the lane, which for live work is its queue's."""
        return lane_name(self.queue, low=self.live is not None)

    @property
    def places(self) -> int:
        """How many more of its runs may start, as far as its queue is concerned."""
        if self.live is None:
            return self.limit - self.running - self.low_running
        return min(max(1, self.limit // 2) - self.running, self.live.places)

    @property
    def may_start(self) -> bool:
        """Whether it has a claimed run, and room for it."""
        return bool(self.ready) and self.places > 0

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
        self.count(1)
        self.kept_out_since = now
        self._starts += 1
        return self.ready.popleft()

    def count(self, more: int) -> None:
        """So many more of its runs are at work, or less."""
        self.running += more
        if self.live is not None:
            self.live.low_running += more

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
        return len(self.ready) + self.claiming < max(1, min(room, self.places), SLACK * self.soon)

    def is_left_out(self, now: float) -> bool:
        """Whether nothing of it was claimed for long, and nothing is ready."""
        return not self.ready and not self.claiming and now - self._claimed_at > LEFT_OUT_AFTER

    def claim(self, now: float) -> Delivery:
        """The delivery that is next, to be claimed now."""
        self.claiming += 1
        self._claimed_at = now
        return self.waiting.popleft()


def low_priority(replay: int) -> Headers:
    """What a command of this replay carries beside its own headers."""
    return [(LOW_PRIORITY, str(replay).encode())]


def lane_of(queue: str, delivery: Delivery) -> str:
    """The name of the lane in which a delivery waits."""
    return lane_name(queue, low=any(name == LOW_PRIORITY for name, _ in delivery.record.headers))


def lane_name(queue: str, *, low: bool) -> str:
    """``emails``, or ``emails (replays)``."""
    return f"{queue} (replays)" if low else queue


def lanes_of(limits: Mapping[str, int]) -> dict[str, Lane]:
    """Both lanes of each queue, by name. ``limits``: runs at once of each."""
    lanes: dict[str, Lane] = {}
    for queue, limit in limits.items():
        live = Lane(queue, limit)
        low = Lane(queue, limit, live)
        lanes |= {live.name: live, low.name: low}
    return lanes


def with_replays(priorities: Mapping[str, int]) -> dict[str, float]:
    """The weight of each lane: replays have little."""
    low = {lane_name(queue, low=True): priority * LOW_WEIGHT for queue, priority in priorities.items()}
    return {**priorities, **low}
