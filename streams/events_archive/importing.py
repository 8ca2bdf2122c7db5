"""Bring archived records back, into a topic that only replays read: no worker takes them for news."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import KafkaError

from schemas.events import FACTS
from schemas.topics import IMPORTED_SUFFIX
from streams.events_archive.naming import require_whole
from streams.events_archive.places import MOST_BYTES
from streams.events_archive.records import Archived, WrongArchive, from_lines, from_parquet
from streams.kafka_client import full_name, producer_for, require_topic
from streams.media.errors import BadMedia, MissingMedia, StorageFailed
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


async def import_events(settings: Settings, place: Storage, event_type: str, *, clear: bool = False) -> Imported:
    """Every archived file of this type, in the order of partition and offset. With ``clear`` in the place of what
    earlier imports have brought.

    All files are read before anything is changed: one that is damaged is found then. An import that was cut short can
    be repeated: an event that lies there twice is replayed once. Raises ``WrongArchive``, and what broker and storage
    raise.
    """
    names = await _checked_files(place, event_type)
    if clear:
        await _clear(settings, event_type)
    imported = Imported(event_type + IMPORTED_SUFFIX)
    producer = producer_for(settings.kafka, linger_ms=20)
    await producer.start()
    topic = full_name(settings.kafka, imported.topic)
    try:
        await require_topic(producer, topic)
        for name in names:
            records = await _read(place, name, event_type)
            await _send(producer, topic, event_type, records)
            imported.files += 1
            imported.records += len(records)
    except (KafkaError, StorageFailed, MissingMedia, WrongArchive) as error:
        raise WrongArchive(
            f"{imported.files:,} of {len(names):,} files lie in {imported.topic}, then it failed ({error}). "
            "Mend that and run it again: what lies there twice is replayed once"
        ) from error
    finally:
        await producer.stop()
    return imported


async def _checked_files(place: Storage, event_type: str) -> list[str]:
    if event_type not in FACTS:
        raise WrongArchive(f"there is no event type {event_type!r}; there are {', '.join(FACTS)}")
    names = sorted([found.key async for found in place.list(event_type)])
    known = [name for name in names if name.rpartition(".")[2] in READERS]
    if not known:
        raise WrongArchive(
            f"no file of {event_type} lies there. Name the folder or URL that `tailrace export --out` was given: "
            f"the files are below it, in {event_type}/"
        )
    for name in known:
        await _read(place, name, event_type)
    return known


async def _send(producer: AIOKafkaProducer, topic: str, event_type: str, records: Sequence[Archived]) -> None:
    for begin in range(0, len(records), AT_ONCE):
        sent = [
            await producer.send(
                topic,
                record.value,
                key=record.key,
                headers=record.headers_with_identity(event_type),
                timestamp_ms=record.timestamp,
            )
            for record in records[begin : begin + AT_ONCE]
        ]
        await asyncio.gather(*sent)


async def _read(place: Storage, name: str, event_type: str) -> Sequence[Archived]:
    try:
        content = await place.get(name, MOST_BYTES)
        records = READERS[name.rpartition(".")[2]](content)
    except (WrongArchive, BadMedia) as error:
        raise WrongArchive(f"{name}: {error}") from error
    for record in records:
        if record.topic.removesuffix(IMPORTED_SUFFIX) != event_type:
            raise WrongArchive(f"{name} holds records of {record.topic}, not of {event_type}")
    require_whole(name, records)
    return records


async def _clear(settings: Settings, event_type: str) -> None:
    """Delete what earlier imports of this type have brought."""
    topic = full_name(settings.kafka, event_type + IMPORTED_SUFFIX)
    async with admin_client(settings.kafka) as admin:
        (described,) = await admin.describe_topics([topic])
        partitions = [TopicPartition(topic, found["partition"]) for found in described["partitions"]]
        await admin.delete_records({partition: RecordsToDelete(-1) for partition in partitions})
