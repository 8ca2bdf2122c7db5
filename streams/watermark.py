"""Ordered acknowledgement: work finishes in any order, offsets are acknowledged in order.

Faust commits the highest run of acknowledged offsets, so one acknowledged ahead of an earlier one would
be lost with a kill. Here nothing is acknowledged before everything below it in its partition.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable

from streams.clock import Clock
from streams.metrics import Metrics
from streams.records import Delivery, Record

Place = tuple[str, int]
"""Topic without prefix, and partition."""


class Watermark:
    """The unacknowledged deliveries of this worker, by partition.

    At ``limit`` of them a partition is paused; what has been fetched by then still comes. ``pause`` and
    ``resume`` stop and start fetching; they are called at the limit and when half of it is free again.
    """

    def __init__(
        self,
        limit: int,
        metrics: Metrics,
        pause: Callable[[Place], None],
        resume: Callable[[Place], None],
        clock: Clock,
    ) -> None:
        self._limit = limit
        self._metrics = metrics
        self._pause = pause
        self._resume = resume
        self._clock = clock
        self._open: dict[Place, deque[Delivery]] = defaultdict(deque)
        self._oldest_since: dict[Place, float] = {}
        self._last: dict[Place, int] = {}
        self._paused: set[Place] = set()
        self._consumed = 0
        self._ended_count = 0

    def take(self, record: Record, acknowledge: Callable[[], object]) -> Delivery:
        """Track a record. An offset that is not above the last one means that the partition is delivered
        again: what was tracked of it is forgotten first.
        """
        delivery = Delivery(record, acknowledge)
        place = delivery.place
        if record.offset <= self._last.get(place, -1):
            self.forget([place])
        self._last[place] = record.offset
        if not self._open[place]:
            self._oldest_since[place] = self._clock.monotonic()
        self._open[place].append(delivery)
        self._consumed += 1
        self._metrics.consumed.labels(record.topic).inc()
        self._metrics.in_flight.labels(record.topic).inc()
        waiting = len(self._open[place])
        if waiting >= self._limit and (place not in self._paused or waiting % self._limit == 0):
            # Again at each multiple, in case the consumer has resumed it for reasons of its own.
            self._paused.add(place)
            self._metrics.paused_partitions.set(len(self._paused))
            self._pause(place)
        return delivery

    def finish(self, delivery: Delivery, state: str) -> None:
        """The delivery is dealt with, and how. Acknowledges what is now finished from the bottom up."""
        if not delivery.live or delivery.finished:
            return
        delivery.finished = True
        self._ended(delivery, state)
        open_deliveries = self._open[delivery.place]
        while open_deliveries and open_deliveries[0].finished:
            open_deliveries.popleft().acknowledge()
            self._oldest_since[delivery.place] = self._clock.monotonic()
        if delivery.place in self._paused and len(open_deliveries) <= self._limit // 2:
            self._unpause(delivery.place)
            self._resume(delivery.place)

    def forget(self, places: Iterable[Place]) -> None:
        """The partitions are no longer ours, or are delivered again: nothing of them is acknowledged."""
        for place in places:
            for delivery in self._open.pop(place, ()):
                delivery.live = False
                if not delivery.finished:
                    self._ended(delivery, "revoked")
            self._last.pop(place, None)
            self._unpause(place)

    def oldest(self) -> dict[Place, tuple[int, float]]:
        """By partition the lowest offset that is not dealt with, and since when it is the lowest (monotonic)."""
        return {
            place: (deliveries[0].record.offset, self._oldest_since[place])
            for place, deliveries in self._open.items()
            if deliveries
        }

    def is_paused(self, place: Place) -> bool:
        """Whether the partition waits at the cap."""
        return place in self._paused

    def balance(self) -> int:
        """consumed - ended - in flight, which is 0 for ever, or a delivery was lost or counted twice."""
        in_flight = sum(not delivery.finished for open_ in self._open.values() for delivery in open_)
        self._metrics.unbalanced.set(self._consumed - self._ended_count - in_flight)
        return self._consumed - self._ended_count - in_flight

    def _unpause(self, place: Place) -> None:
        self._paused.discard(place)
        self._metrics.paused_partitions.set(len(self._paused))

    def _ended(self, delivery: Delivery, state: str) -> None:
        self._ended_count += 1
        self._metrics.ended.labels(delivery.record.topic, state).inc()
        self._metrics.in_flight.labels(delivery.record.topic).dec()
