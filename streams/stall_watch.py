"""Notices partitions that stand still although there is more to read.

A consumer of aiokafka can stay stuck after a broker's restart without any error (its issue 1154), so being
connected is no sign of health: getting on is.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.clock import Clock
from streams.kafka_client import client_options, full_name, worker_group
from streams.settings import Kafka
from streams.watermark import Place, Watermark

STALLED_AFTER = timedelta(seconds=20)
FAILED_AFTER = timedelta(seconds=60)
CHECK_TIMEOUT = 10


class StallWatch:
    """Compares what has been taken of each assigned partition with where it ends on the broker."""

    def __init__(
        self, kafka: Kafka, watermark: Watermark, assignment: Callable[[], Iterable[Place]], clock: Clock
    ) -> None:
        self._kafka = kafka
        self._watermark = watermark
        self._assignment = assignment
        self._clock = clock
        self._since: dict[Place, tuple[int, float]] = {}
        self._problem: str | None = "the broker has not been asked yet"
        self.gave_up = asyncio.Event()
        """Set when a partition has stood still for so long that only a new consumer helps."""

    def problem(self) -> str | None:
        """For health: the broker is away, or a partition stands still."""
        return self._problem

    async def check(self) -> None:
        """Look once; called every few seconds."""
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                ends, committed = await self._ask(list(self._assignment()))
        except Exception as error:
            self._problem = f"the broker does not answer: {error!r}"
            self._since.clear()
            raise
        self._judge(ends, committed)

    async def _ask(self, places: list[Place]) -> tuple[dict[Place, int], dict[Place, int]]:
        """Where the partitions end, and what our group has committed of them."""
        partitions = {place: TopicPartition(full_name(self._kafka, place[0]), place[1]) for place in places}
        options = client_options(self._kafka)
        consumer, admin = AIOKafkaConsumer(**options), AIOKafkaAdminClient(**options)
        try:
            await consumer.start()
            await admin.start()
            ends = await consumer.end_offsets(list(partitions.values())) if places else {}
            committed = await admin.list_consumer_group_offsets(worker_group(self._kafka)) if places else {}
        finally:
            await consumer.stop()
            await admin.close()
        return (
            {place: ends[partition] for place, partition in partitions.items()},
            {place: committed[partition].offset for place, partition in partitions.items() if partition in committed},
        )

    def _judge(self, ends: Mapping[Place, int], committed: Mapping[Place, int]) -> None:
        now = self._clock.monotonic()
        still: dict[Place, tuple[int, float]] = {}
        for place, end in ends.items():
            taken = self._watermark.position(place)
            taken = max(0, committed.get(place, 0)) if taken is None else taken
            if taken < end and not self._watermark.is_paused(place):
                position, since = self._since.get(place, (taken, now))
                still[place] = (taken, since if position == taken else now)
        self._since = still
        stalled = [
            f"{topic}:{partition} stands at {taken}, the topic ends at {ends[topic, partition]}"
            for (topic, partition), (taken, since) in still.items()
            if now - since > STALLED_AFTER.total_seconds()
        ]
        self._problem = "; ".join(stalled) or None
        if any(now - since > FAILED_AFTER.total_seconds() for _, since in still.values()):
            self.gave_up.set()
