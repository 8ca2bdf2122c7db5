"""Where the records of each partition begin and end on the broker."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.kafka_client import client_options
from streams.setting_groups import Kafka


@dataclass(frozen=True)
class Span:
    """Offsets from ``begin`` up to, not including, ``end``."""

    begin: int
    end: int


Spans = dict[TopicPartition, Span]

FETCH_BYTES = 4 << 20
"""Of one partition at once: a topic that is read whole is read in few fetches."""


async def partition_spans(admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, topics: Iterable[str]) -> Spans:
    """The span of every partition of these topics, by their names on the broker. One that is missing has none."""
    existing = set(await admin.list_topics())
    wanted = [topic for topic in topics if topic in existing]
    if not wanted:
        return {}
    described = {found["topic"]: found["partitions"] for found in await admin.describe_topics(wanted)}
    partitions = [
        TopicPartition(topic, number) for topic in wanted for number in sorted(p["partition"] for p in described[topic])
    ]
    begin, end = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    return {partition: Span(begin[partition], end[partition]) for partition in partitions}


@asynccontextmanager
async def admin_client(kafka: Kafka) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client for administration, closed at the end."""
    admin = AIOKafkaAdminClient(**client_options(kafka))
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def reading_client(kafka: Kafka) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of no group, that begins where a partition begins, stopped at the end."""
    consumer = AIOKafkaConsumer(
        **client_options(kafka),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=500,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()
