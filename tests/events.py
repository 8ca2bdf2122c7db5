"""Events as a backend says them, and ways to read what came of them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import RecordsToDelete
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.events import Fact, PostUploaded, UserCreated
from schemas.facts import event_type_of
from schemas.topics import TOPIC_BY_NAME
from streams.kafka_client import client_options, full_name
from streams.partition_spans import admin_client, partition_spans, reading_client
from streams.settings import Settings

EMIT = text("SELECT tailrace.emit(:type, :key, CAST(:data AS jsonb))")


async def emit(engine: AsyncEngine, *facts: Fact) -> None:
    """Say the facts in SQL, each in a transaction of its own."""
    for fact in facts:
        async with engine.begin() as connection:
            data = msgspec.json.encode(fact).decode()
            await connection.execute(EMIT, {"type": event_type_of(fact), "key": str(fact.key), "data": data})


def user_created(user_id: int, **changes: Any) -> UserCreated:
    """A new user who signed up just now."""
    fields = {"email": f"u{user_id}@example.org", "username": f"u{user_id}", "created_at": datetime.now(UTC)}
    return UserCreated(user_id=user_id, **{**fields, **changes})


def post_uploaded(post_id: int, author_id: int, *hashtags: str, **changes: Any) -> PostUploaded:
    """A public post of just now."""
    fields = {"created_at": datetime.now(UTC), "visibility": "public", "hashtags": list(hashtags)}
    return PostUploaded(post_id=post_id, author_id=author_id, **{**fields, **changes})


async def records_of(settings: Settings, topic: str) -> list[ConsumerRecord]:
    """Everything in the topic now, by partition and offset."""
    consumer = AIOKafkaConsumer(
        **client_options(settings.kafka), auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        name = full_name(settings.kafka, topic)
        count = TOPIC_BY_NAME[topic].partitions
        partitions = [TopicPartition(name, number) for number in range(count)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[ConsumerRecord] = []
        for partition in partitions:
            await consumer.seek_to_beginning(partition)
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found.extend(records)
    finally:
        await consumer.stop()
    return sorted(found, key=lambda record: (record.partition, record.offset))


async def delete_records(settings: Settings, topic: str, *, up_to: int = -1) -> None:
    """Delete what lies below this offset of each partition, as retention does; by default all that lies there now."""
    async with admin_client(settings.kafka) as admin, reading_client(settings.kafka) as consumer:
        spans = await partition_spans(admin, consumer, [full_name(settings.kafka, topic)])
        held = [place for place, span in spans.items() if span.begin < span.end]
        await admin.delete_records({place: RecordsToDelete(up_to) for place in held})


async def runs(engine: AsyncEngine) -> Sequence[Any]:
    """Every row of the ledger, oldest first."""
    async with engine.connect() as connection:
        return (await connection.execute(text("SELECT * FROM tailrace.task_runs ORDER BY started_at"))).all()


async def states(engine: AsyncEngine) -> dict[str, int]:
    """Runs by state."""
    found: dict[str, int] = {}
    for run in await runs(engine):
        found[run.state] = found.get(run.state, 0) + 1
    return found
