"""Bring archived records back, into a topic that only replays read: no worker takes them for news."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from schemas.events import FACTS
from schemas.topics import IMPORTED_SUFFIX
from streams.events_archive.places import MOST_BYTES
from streams.events_archive.records import Archived, WrongArchive, from_lines, from_parquet
from streams.kafka_client import full_name, producer_for
from streams.media.storage import Storage
from streams.partition_spans import admin_client
from streams.settings import Settings

READERS: Mapping[str, Callable[[bytes], list[Archived]]] = {"jsonl": from_lines, "parquet": from_parquet}
AT_ONCE = 1000


@dataclass
class Imported:
    """What lies in the topic now, of this import."""

    topic: str
    files: int = 0
    records: int = 0


async def import_events(settings: Settings, place: Storage, event_type: str) -> Imported:
    """Every archived file of this type, in the order of partition and offset. An import that was cut short can be
    repeated: an event that lies there twice is replayed once. Raises ``WrongArchive``.
    """
    if event_type not in FACTS:
        raise WrongArchive(f"there is no event type {event_type!r}; there are {', '.join(FACTS)}")
    names = sorted([found.key async for found in place.list(event_type)])
    known = [name for name in names if name.rpartition(".")[2] in READERS]
    if not known:
        raise WrongArchive(f"no file of {event_type} lies there; `tailrace export` writes them to {event_type}/...")
    imported = Imported(event_type + IMPORTED_SUFFIX)
    producer = producer_for(settings.kafka, linger_ms=20)
    await producer.start()
    try:
        for name in known:
            records = await _read(place, name, event_type)
            for begin in range(0, len(records), AT_ONCE):
                await asyncio.gather(
                    *[
                        await producer.send(
                            full_name(settings.kafka, imported.topic),
                            record.value,
                            key=record.key,
                            headers=record.headers_with_identity(event_type),
                            timestamp_ms=record.timestamp,
                        )
                        for record in records[begin : begin + AT_ONCE]
                    ]
                )
            imported.files += 1
            imported.records += len(records)
    finally:
        await producer.stop()
    return imported


async def _read(place: Storage, name: str, event_type: str) -> Sequence[Archived]:
    content = await place.get(name, MOST_BYTES)
    try:
        records = READERS[name.rpartition(".")[2]](content)
    except WrongArchive as error:
        raise WrongArchive(f"{name}: {error}") from error
    for record in records:
        if record.topic.removesuffix(IMPORTED_SUFFIX) != event_type:
            raise WrongArchive(f"{name} holds records of {record.topic}, not of {event_type}")
    return records


async def clear_imported(settings: Settings, event_type: str) -> None:
    """Delete what earlier imports of this type have brought."""
    if event_type not in FACTS:
        raise WrongArchive(f"there is no event type {event_type!r}; there are {', '.join(FACTS)}")
    topic = full_name(settings.kafka, event_type + IMPORTED_SUFFIX)
    async with admin_client(settings.kafka) as admin:
        (described,) = await admin.describe_topics([topic])
        partitions = [TopicPartition(topic, found["partition"]) for found in described["partitions"]]
        await admin.delete_records({partition: RecordsToDelete(-1) for partition in partitions})
