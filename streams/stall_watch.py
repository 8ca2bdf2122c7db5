"""Notices partitions that stand still although there is more to read.

A consumer of aiokafka can stay stuck after a broker's restart without any error (its issue 1154), so being
connected is no sign of health: getting on is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.topics import QUEUE_BY_NAME
from streams.clock import Clock
from streams.kafka_client import client_options, full_name
from streams.setting_groups import Kafka
from streams.watermark import Place, Watermark

STALLED_AFTER = timedelta(seconds=20)
FAILED_AFTER = timedelta(seconds=60)
STUCK_AFTER = timedelta(minutes=10)
CHECK_TIMEOUT = 10


class StallWatch:
    """Compares where the worker's consumer stands in each assigned partition with where that ends on the broker."""

    def __init__(
        self,
        kafka: Kafka,
        watermark: Watermark,
        assignment: Callable[[], Iterable[Place]],
        position: Callable[[Place], Awaitable[int]],
        paused: Callable[[], frozenset[str]],
        clock: Clock,
    ) -> None:
        self._kafka = kafka
        self._watermark = watermark
        self._assignment = assignment
        self._position = position
        self._paused = paused
        self._clock = clock
        self._asking: AIOKafkaConsumer | None = None
        self._since: dict[Place, tuple[int, float]] = {}
        self._problem: str | None = "the broker has not been asked yet"
        self.gave_up = asyncio.Event()
        """Set when a partition has stood still for so long that only a new consumer helps."""

    def problem(self) -> str | None:
        """For health: the broker is away, a partition stands still, or its oldest record is never dealt with."""
        return self._problem or self._stuck()

    async def check(self) -> None:
        """Look once; called every few seconds."""
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                places = list(self._assignment())
                positions = {place: await self._position(place) for place in places}
                bounds = await self._bounds(places)
        except Exception as error:
            self._problem = f"the broker does not answer: {error!r}"
            self._since.clear()
            await self.close()
            raise
        self._judge(positions, bounds)

    async def close(self) -> None:
        """Give up the connection that asks."""
        asking, self._asking = self._asking, None
        if asking:
            await asking.stop()

    async def _bounds(self, places: list[Place]) -> dict[Place, tuple[int, int]]:
        """Where each partition begins and ends."""
        if self._asking is None:
            self._asking = AIOKafkaConsumer(**client_options(self._kafka), request_timeout_ms=5000)
            await self._asking.start()
        partitions = {place: TopicPartition(full_name(self._kafka, place[0]), place[1]) for place in places}
        starts = await self._asking.beginning_offsets(list(partitions.values())) if places else {}
        ends = await self._asking.end_offsets(list(partitions.values())) if places else {}
        return {place: (starts[partition], ends[partition]) for place, partition in partitions.items()}

    def _judge(self, positions: Mapping[Place, int], bounds: Mapping[Place, tuple[int, int]]) -> None:
        now = self._clock.monotonic()
        still: dict[Place, tuple[int, float]] = {}
        for place, (start, end) in bounds.items():
            stands = max(positions[place], start)
            if stands < end and not self._watermark.is_paused(place):
                position, since = self._since.get(place, (stands, now))
                still[place] = (stands, since if position == stands else now)
        self._since = still
        stalled = [
            f"{topic}:{partition} stands at {stands}, the topic ends at {bounds[topic, partition][1]}"
            for (topic, partition), (stands, since) in still.items()
            if now - since > STALLED_AFTER.total_seconds()
        ]
        self._problem = "; ".join(stalled) or None
        if any(now - since > FAILED_AFTER.total_seconds() for _, since in still.values()):
            self.gave_up.set()

    def _stuck(self) -> str | None:
        """A record that has been the oldest one for longer than any run may take, in a queue that is not paused."""
        paused = {QUEUE_BY_NAME[queue].topic for queue in self._paused()}
        for (topic, partition), (delivery, since) in self._watermark.oldest().items():
            waited, offset = self._clock.monotonic() - since, delivery.record.offset
            if waited > STUCK_AFTER.total_seconds() and topic not in paused:
                return f"{topic}:{partition} offset {offset} has not been dealt with for {waited / 60:.0f} minutes"
        return None
