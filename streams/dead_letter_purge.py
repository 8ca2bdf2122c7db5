"""Throw dead letters away: mark them, then delete what is marked from the start of each partition on."""

from collections.abc import Iterable
from itertools import groupby

from aiokafka import TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.dead_letter import Letter
from streams.dead_letter_marks import Partition, drop_marks_below, first_unmarked, mark_letters
from streams.dead_letter_topics import DeadLetterTopics
from streams.kafka_client import full_name
from streams.partition_spans import admin_client
from streams.setting_groups import Kafka
from streams.trimming import delete_below


async def purge(engine: AsyncEngine, letters: Iterable[Letter]) -> int:
    """Mark these letters as purged; how many had no mark yet."""
    purged = 0
    places = sorted(letter.place for letter in letters)
    async with engine.begin() as connection:
        for partition, group in groupby(places, key=lambda place: (place.topic, place.partition)):
            purged += await mark_letters(connection, partition, [place.offset for place in group], "purged")
    return purged


async def delete_marked(kafka: Kafka, engine: AsyncEngine, topics: DeadLetterTopics) -> int:
    """Delete from each partition the letters below the first that waits; how many. Raises ``KafkaError``."""
    wanted: dict[TopicPartition, int] = {}
    async with engine.connect() as connection:
        for partition, span in topics.spans.items():
            kept_from = min(await first_unmarked(connection, partition, span.begin), span.end)
            if kept_from > span.begin:
                wanted[_on_broker(kafka, partition)] = kept_from
    async with admin_client(kafka) as admin:
        begins = await delete_below(admin, wanted)
    deleted = 0
    async with engine.begin() as connection:
        for partition, span in topics.spans.items():
            begin = begins.get(_on_broker(kafka, partition), span.begin)
            deleted += begin - span.begin
            await drop_marks_below(connection, partition, begin)
    return deleted


def _on_broker(kafka: Kafka, partition: Partition) -> TopicPartition:
    return TopicPartition(full_name(kafka, partition[0]), partition[1])
