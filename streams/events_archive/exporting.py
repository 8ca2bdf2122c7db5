"""Write a topic's records to files. The same records have the same file names, so an export can be repeated."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from aiokafka import ConsumerRecord

from schemas.topics import SOURCES
from streams.events_archive.records import Archived, to_lines, to_parquet
from streams.media.storage import Storage
from streams.partition_spans import reading_client
from streams.replay.reading import Reading
from streams.replay.request import Request, Selection, WrongReplay, parse_bound
from streams.replay.stretches import Gap, find_stretches
from streams.settings import Settings

AT_ONCE = 2000
IN_A_FILE = 50_000

FORMATS: Mapping[str, Callable[[Sequence[Archived]], bytes]] = {"jsonl": to_lines, "parquet": to_parquet}


@dataclass
class Exported:
    """What was written, and what retention had taken of what was asked for."""

    records: int = 0
    files: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


async def export(
    settings: Settings, place: Storage, topic: str, start: str | None, end: str | None, form: str, now: datetime
) -> Exported:
    """The records of the topic between both bounds, in files of its own folder, by partition and offset.

    Raises ``WrongReplay`` for what is not known, ``WrongArchive``, and what broker and storage raise.
    """
    begin, until = parse_bound("--from", start, now), parse_bound("--to", end, now)
    if topic not in SOURCES:
        raise WrongReplay(f"events cannot be read from {topic!r}; there are {', '.join(SOURCES)}")
    request = Request(topic=topic)
    times = (bound if isinstance(bound, datetime) else None for bound in (begin, until))
    wanted = Selection(request, SOURCES[topic], (), None, frozenset(), *times)
    found, held = Exported(), dict[int, list[Archived]]()
    async with reading_client(settings.kafka) as consumer:
        stretches, found.gaps = await find_stretches(settings.kafka, consumer, request, begin, until)
        async for chunk in Reading(settings.kafka, consumer, topic).chunks(stretches, AT_ONCE):
            waiting = held.setdefault(chunk.partition, [])
            waiting += [_archived(record, topic) for record in chunk.records if wanted.wants_record(record)]
            found.gaps += chunk.gaps
            if len(waiting) >= IN_A_FILE:
                await _write(place, held.pop(chunk.partition), form, found)
    for waiting in held.values():
        await _write(place, waiting, form, found)
    return found


def _archived(record: ConsumerRecord, topic: str) -> Archived:
    headers = list(record.headers)
    return Archived(topic, record.partition, record.offset, record.timestamp, record.key, headers, record.value)


async def _write(place: Storage, records: Sequence[Archived], form: str, found: Exported) -> None:
    if not records:
        return
    first, last = records[0], records[-1]
    name = f"{first.topic}/{first.partition:03}-{first.offset:020}-{last.offset:020}.{form}"
    await place.put({name: FORMATS[form](records)})
    found.records += len(records)
    found.files.append(name)
