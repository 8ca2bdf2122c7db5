"""Ordered acknowledgement: work finishes in any order, offsets are acknowledged in order.

Faust commits the highest run of acknowledged offsets, so one acknowledged ahead of an earlier one would
be lost with a kill. Here nothing is acknowledged before everything below it in its partition.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable

from prometheus_client import Counter

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
        self._topics: dict[str, _Counts] = {}
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
        self._counts(record.topic).take()
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

    def oldest(self) -> dict[Place, tuple[Delivery, float]]:
        """By partition the oldest delivery that is not dealt with, and since when (monotonic) it is the oldest and
        nothing else of its topic has ended: behind a long backlog, waiting is no fault.
        """
        return {
            place: (deliveries[0], max(self._oldest_since[place], self._counts(place[0]).last_end))
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
        self._counts(delivery.record.topic).end(state, self._clock.monotonic())

    def _counts(self, topic: str) -> "_Counts":
        counts = self._topics.get(topic)
        if counts is None:
            counts = self._topics[topic] = _Counts(topic, self._metrics)
        return counts


class _Counts:
    """The metrics of one topic. Their children are looked up once: that costs more than counting."""

    def __init__(self, topic: str, metrics: Metrics) -> None:
        self._topic = topic
        self._metrics = metrics
        self._consumed = metrics.consumed.labels(topic)
        self._in_flight = metrics.in_flight.labels(topic)
        self._ended: dict[str, Counter] = {}
        self.last_end = float("-inf")

    def take(self) -> None:
        self._consumed.inc()
        self._in_flight.inc()

    def end(self, state: str, now: float) -> None:
        self.last_end = now
        self._in_flight.dec()
        if state not in self._ended:
            self._ended[state] = self._metrics.ended.labels(self._topic, state)
        self._ended[state].inc()
