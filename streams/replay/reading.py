"""Read stretches of a topic, a chunk at a time, and notice what retention takes meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from streams.kafka_client import full_name
from streams.replay.stretches import Gap, Stretch
from streams.setting_groups import Kafka

POLL_MS = 500
NO_ANSWER = timedelta(seconds=30)


@dataclass(frozen=True)
class Chunk:
    """Records of one partition in order; after them goes ``next_offset``. ``gaps``: what was gone before them."""

    partition: int
    records: Sequence[ConsumerRecord]
    next_offset: int
    gaps: Sequence[Gap] = field(default=())


class Reading:
    """One topic's stretches, read by a consumer of no group."""

    def __init__(self, kafka: Kafka, consumer: AIOKafkaConsumer, topic: str) -> None:
        self._consumer = consumer
        self._topic = full_name(kafka, topic)

    async def chunks(self, stretches: Sequence[Stretch], at_most: int) -> AsyncIterator[Chunk]:
        """All of the stretches, each in order, at most so many records at once. Raises ``KafkaError``."""
        left = {TopicPartition(self._topic, part.partition): part for part in stretches if part.begin < part.end}
        self._consumer.assign(list(left))
        for here, stretch in left.items():
            self._consumer.seek(here, stretch.begin)
        heard = asyncio.get_running_loop().time()
        while left:
            fetched = await self._consumer.getmany(*left, timeout_ms=POLL_MS, max_records=at_most)
            for here, stretch in list(left.items()):
                chunk = await self._chunk(here, stretch, fetched.get(here, ()))
                if chunk is None:
                    continue
                left[here] = Stretch(stretch.partition, chunk.next_offset, stretch.end)
                if chunk.next_offset == stretch.end:
                    del left[here]
                    self._consumer.pause(here)
                yield chunk
                heard = asyncio.get_running_loop().time()
            if asyncio.get_running_loop().time() - heard > NO_ANSWER.total_seconds():
                raise KafkaTimeoutError(f"nothing came from {self._topic} for {NO_ANSWER.total_seconds():.0f} s")

    async def _chunk(self, here: TopicPartition, stretch: Stretch, fetched: Sequence[ConsumerRecord]) -> Chunk | None:
        """What was fetched of a stretch, or None where that is nothing. Its end may hold no records, but marks."""
        records = fetched if not fetched or fetched[-1].offset < stretch.end else _before(fetched, stretch.end)
        reached = records[-1].offset + 1 if records else min(await self._consumer.position(here), stretch.end)
        if len(records) < len(fetched):
            reached = stretch.end
        if reached <= stretch.begin:
            return None
        gaps = await self._gone(
            here, Stretch(stretch.partition, stretch.begin, records[0].offset if records else reached)
        )
        return Chunk(stretch.partition, records, reached, gaps)

    async def _gone(self, here: TopicPartition, passed: Stretch) -> list[Gap]:
        """What of these offsets retention has taken. Others that hold no record are a transaction's marks."""
        if passed.begin == passed.end:
            return []
        begin = min((await self._consumer.beginning_offsets([here]))[here], passed.end)
        return [Gap(passed.partition, passed.begin, begin)] if begin > passed.begin else []


def _before(records: Sequence[ConsumerRecord], end: int) -> list[ConsumerRecord]:
    return [record for record in records if record.offset < end]
