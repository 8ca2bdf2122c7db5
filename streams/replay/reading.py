"""Read stretches of a topic, part by part, and notice what retention takes meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from streams.kafka_client import full_name
from streams.replay.stretches import Gap, Stretch
from streams.setting_groups import Kafka

POLL = timedelta(milliseconds=500)
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
        """The stretches in order, at most so many records at once. Raises ``KafkaError``."""
        for stretch in stretches:
            if stretch.begin < stretch.end:
                async for chunk in self._read(stretch, at_most):
                    yield chunk

    async def _read(self, stretch: Stretch, at_most: int) -> AsyncIterator[Chunk]:
        here, position = TopicPartition(self._topic, stretch.partition), stretch.begin
        self._consumer.assign([here])
        self._consumer.seek(here, position)
        heard = asyncio.get_running_loop().time()
        while position < stretch.end:
            timeout = int(POLL.total_seconds() * 1000)
            fetched = await self._consumer.getmany(here, timeout_ms=timeout, max_records=at_most)
            records = [record for record in fetched.get(here, ()) if record.offset < stretch.end]
            reached = await self._consumer.position(here) if not records else records[-1].offset + 1
            if reached > position:
                first = records[0].offset if records else min(reached, stretch.end)
                gaps = await self._gone(here, Stretch(stretch.partition, position, first))
                position = min(reached, stretch.end)
                yield Chunk(stretch.partition, records, position, gaps)
                heard = asyncio.get_running_loop().time()
            elif asyncio.get_running_loop().time() - heard > NO_ANSWER.total_seconds():
                raise KafkaTimeoutError(f"nothing came from {here.topic} for {NO_ANSWER.total_seconds():.0f} s")

    async def _gone(self, here: TopicPartition, passed: Stretch) -> list[Gap]:
        """What of these offsets retention has taken. Others that hold no record are a transaction's marks."""
        if passed.begin == passed.end:
            return []
        begin = min((await self._consumer.beginning_offsets([here]))[here], passed.end)
        return [Gap(passed.partition, passed.begin, begin)] if begin > passed.begin else []
