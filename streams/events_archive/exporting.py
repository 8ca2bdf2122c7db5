"""Write a topic's records to files. The same records have the same file names, so an export can be repeated."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from aiokafka import ConsumerRecord

from schemas.topics import SOURCES
from streams.events_archive.naming import file_name
from streams.events_archive.records import Archived, require_parquet, to_lines, to_parquet
from streams.media.storage import Storage
from streams.partition_spans import reading_client
from streams.replay.reading import Reading
from streams.replay.request import Request, Selection, WrongReplay, parse_bound
from streams.replay.stretches import Gap, find_stretches
from streams.settings import Settings

AT_ONCE = 2000
IN_A_FILE = 20_000
"""Offsets. A file ends before each multiple of it, so exports of other times share all files but the outermost."""

MOST_BYTES = 16 << 20
"""After so many a file ends, too: no more than that is held."""

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
    if form == "parquet":
        require_parquet()
    request = Request(topic=topic)
    times = (bound if isinstance(bound, datetime) else None for bound in (begin, until))
    wanted = Selection(request, SOURCES[topic], (), None, frozenset(), *times)
    found = Exported()
    async with reading_client(settings.kafka) as consumer:
        stretches, found.gaps = await find_stretches(settings.kafka, consumer, request, begin, until)
        reading = Reading(settings.kafka, consumer, topic)
        for stretch in stretches:  # one after the other, so that the records of one file are held and not more
            files = _Files(place, form, found)
            async for chunk in reading.chunks([stretch], AT_ONCE):
                found.gaps += chunk.gaps
                for record in filter(wanted.wants_record, chunk.records):
                    await files.add(_archived(record, topic))
            await files.end()
    return found


def _archived(record: ConsumerRecord, topic: str) -> Archived:
    headers = list(record.headers)
    return Archived(topic, record.partition, record.offset, record.timestamp, record.key, headers, record.value)


class _Files:
    """The files of one partition. Where one ends depends on its records alone."""

    def __init__(self, place: Storage, form: str, found: Exported) -> None:
        self._place = place
        self._form = form
        self._found = found
        self._held: list[Archived] = []
        self._bytes = 0

    async def add(self, record: Archived) -> None:
        """In the order of their offsets."""
        if self._held and (self._bytes >= MOST_BYTES or record.offset // IN_A_FILE > self._held[0].offset // IN_A_FILE):
            await self.end()
        self._held.append(record)
        self._bytes += record.size

    async def end(self) -> None:
        """Write what is held."""
        if not self._held:
            return
        name = file_name(self._held[0], self._held[-1], self._form)
        await self._place.put({name: FORMATS[self._form](self._held)})
        self._found.records += len(self._held)
        self._found.files.append(name)
        self._held, self._bytes = [], 0
