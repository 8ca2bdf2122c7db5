"""Read the topics of dead letters, a part at a time, beside the marks that say which letters are dealt with."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.dead_letter import Letter, Place, letter_of
from streams.dead_letter_filter import Filter, Seen, WrongLetter
from streams.dead_letter_marks import Partition, count_marks, forget_marks, marks_between, newest_marks
from streams.kafka_client import full_name, logical_name
from streams.partition_spans import Span, admin_client, partition_spans, reading_client
from streams.setting_groups import Kafka

FIRST_WINDOW = 500
"""Letters that a search for the newest looks at first; it goes back by twice as many each time, up to the last."""
LAST_WINDOW = 50_000
POLL = timedelta(milliseconds=500)
NO_ANSWER = timedelta(seconds=30)

Marked = tuple[Letter, str | None]
"""A letter and its mark."""


@dataclass(frozen=True)
class Count:
    """How many letters a topic holds that wait, and that are dealt with."""

    topic: str
    waiting: int
    marked: int


class DeadLetterTopics:
    """What lay in the topics of dead letters when they were opened. Holds no more than one fetch in memory."""

    def __init__(
        self, kafka: Kafka, consumer: AIOKafkaConsumer, engine: AsyncEngine, spans: dict[Partition, Span]
    ) -> None:
        self._kafka = kafka
        self._consumer = consumer
        self._engine = engine
        self.spans = spans

    async def counts(self) -> list[Count]:
        """For each topic that holds letters."""
        found: list[Count] = []
        async with self._engine.connect() as connection:
            for topic, partitions in groupby(self.spans.items(), key=lambda item: item[0][0]):
                held = marked = 0
                for partition, span in partitions:
                    held += span.end - span.begin
                    marked += min(await count_marks(connection, partition, span.begin), span.end - span.begin)
                if held:
                    found.append(Count(topic, held - marked, marked))
        return found

    async def matching(self, wanted: Filter, seen: Seen) -> AsyncIterator[list[Marked]]:
        """The letters that match, oldest first in each partition, a batch at a time."""
        for partition, span in self._in_scope(wanted):
            async for batch in self._read(partition, span):
                yield _chosen(batch, wanted, seen)

    async def newest(self, wanted: Filter, seen: Seen, limit: int, *, with_marked: bool) -> AsyncIterator[list[Marked]]:
        """At least the newest ``limit`` letters of each partition that match, a batch at a time.

        Goes back from the end of a partition only as far as it takes to find them.
        """
        for partition, span in self._in_scope(wanted):
            found = 0
            for window in _backwards(span):
                async for batch in self._read(partition, window):
                    chosen = [pair for pair in _chosen(batch, wanted, seen) if with_marked or pair[1] is None]
                    found += len(chosen)
                    yield chosen
                if found >= limit:
                    break

    async def at(self, places: Iterable[Place]) -> AsyncIterator[list[Marked]]:
        """The letters at these places, each by itself. Raises ``WrongLetter``, before the first, where one is none."""
        wanted = list(places)
        for place in wanted:
            self._check(place)
        for place in wanted:
            async for batch in self._read((place.topic, place.partition), Span(place.offset, place.offset + 1)):
                yield batch

    def _in_scope(self, wanted: Filter) -> Iterator[tuple[Partition, Span]]:
        return ((partition, span) for partition, span in self.spans.items() if partition[0] in wanted.scope)

    def _check(self, place: Place) -> None:
        span = self.spans.get((place.topic, place.partition))
        if span is None:
            known = ", ".join(str(number) for topic, number in self.spans if topic == place.topic)
            raise WrongLetter(f"{place}: {place.topic} has no partition {place.partition}; it has {known}")
        if not span.begin <= place.offset < span.end:
            held = f"offsets {span.begin} to {span.end - 1}" if span.end > span.begin else "no letters"
            raise WrongLetter(f"{place}: partition {place.partition} of {place.topic} has {held}")

    async def _read(self, partition: Partition, span: Span) -> AsyncIterator[list[Marked]]:
        """The letters of this span with their marks, in order, a fetch at a time."""
        here = TopicPartition(full_name(self._kafka, partition[0]), partition[1])
        if span.begin >= span.end:
            return
        self._consumer.assign([here])
        self._consumer.seek(here, span.begin)
        heard = asyncio.get_running_loop().time()
        while await self._consumer.position(here) < span.end:
            fetched = await self._consumer.getmany(here, timeout_ms=int(POLL.total_seconds() * 1000))
            records = [record for record in fetched.get(here, ()) if record.offset < span.end]
            if records:
                yield await self._with_marks(partition, [letter_of(record, partition[0]) for record in records])
                heard = asyncio.get_running_loop().time()
            elif asyncio.get_running_loop().time() - heard > NO_ANSWER.total_seconds():
                raise KafkaTimeoutError(f"nothing came from {here.topic} for {NO_ANSWER.total_seconds():.0f} s")

    async def _with_marks(self, partition: Partition, letters: Sequence[Letter]) -> list[Marked]:
        async with self._engine.connect() as connection:
            first, last = letters[0].place.offset, letters[-1].place.offset
            marks = await marks_between(connection, partition, first, last)
        return [(letter, marks.get(letter.place.offset)) for letter in letters]


@asynccontextmanager
async def open_dead_letters(
    kafka: Kafka, engine: AsyncEngine, topics: Sequence[str]
) -> AsyncIterator[DeadLetterTopics]:
    """These topics as they are now: letters that come later are not seen. Raises ``WrongLetter`` for a missing one."""
    async with reading_client(kafka) as consumer:
        spans = await _spans(kafka, consumer, engine, topics)
        yield DeadLetterTopics(kafka, consumer, engine, spans)


async def _spans(
    kafka: Kafka, consumer: AIOKafkaConsumer, engine: AsyncEngine, topics: Sequence[str]
) -> dict[Partition, Span]:
    """Where the letters lie. Marks at or beyond a partition's end are of an earlier topic of its name: all of its
    marks are dropped. They are read before the ends, so that a letter that is marked just now is within them.
    """
    async with engine.connect() as connection:
        newest = await newest_marks(connection)
    async with admin_client(kafka) as admin:
        found = await partition_spans(admin, consumer, [full_name(kafka, topic) for topic in topics])
    spans = {(logical_name(kafka, here.topic), here.partition): span for here, span in found.items()}
    missing = [topic for topic in topics if topic not in {name for name, _ in spans}]
    if missing:
        raise WrongLetter(f"the broker has no topic {missing[0]}; `tailrace migrate` creates it")
    stale = [partition for partition, span in spans.items() if newest.get(partition, -1) >= span.end]
    if stale:
        async with engine.begin() as connection:
            for partition in stale:
                await forget_marks(connection, partition)
    return spans


def _backwards(span: Span) -> Iterator[Span]:
    end, size = span.end, FIRST_WINDOW
    while end > span.begin:
        begin = max(span.begin, end - size)
        yield Span(begin, end)
        end, size = begin, min(size * 2, LAST_WINDOW)


def _chosen(batch: Iterable[Marked], wanted: Filter, seen: Seen) -> list[Marked]:
    for letter, _ in batch:
        seen.note(letter)
    return [pair for pair in batch if wanted.matches(pair[0])]
