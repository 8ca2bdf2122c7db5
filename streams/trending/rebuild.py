"""Count the log anew beside the live counts, compare, and put the new counts in their place with no gap in answers.

The candidate is a generation of its own, counted by the same rules and code as the live one, never further than that
is: so both can be compared offset for offset. The swap waits for the flush that is under way, finds both at the same
offsets, and moves the one pointer that flushes and views read in their transactions.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.topics import TRENDING_TOPICS
from streams.db import direct_connection
from streams.kafka_client import full_name, logical_name
from streams.partition_spans import Span, admin_client, partition_spans, reading_client
from streams.settings import Settings
from streams.trending import rebuild_sql as sql
from streams.trending.comparison import Comparison, compare
from streams.trending.counting import SourceCount
from streams.trending.lost_offsets import LostOffsets
from streams.trending.sql import LIVE_GENERATION
from streams.trending.store import Gap, Step, TrendingStore
from streams.trending.view_sql import SOURCES

NEVER = datetime.fromtimestamp(0, UTC)
MOST_EVENTS = 100_000
"""Events of one flush."""

SWAPS_TRIED = 200
POLL_MS = 200


class NotRebuilt(Exception):
    """The counts stay as they are; the message says why."""


class Rebuild:
    """A candidate. ``events``: how many have been counted. ``lost``: what retention has taken before it was counted;
    answers that reach into it say so.
    """

    def __init__(
        self, settings: Settings, engine: AsyncEngine, consumer: AIOKafkaConsumer, live: int, generation: int
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._consumer = consumer
        self._store = TrendingStore(engine)
        self._live = live
        self._lost_offsets = LostOffsets(engine, live, lambda: datetime.now(UTC))
        self.generation = generation
        self._counts: dict[TopicPartition, SourceCount] = {}
        self._new_gaps: list[Gap] = []
        self.events = 0
        self.lost: list[Gap] = []

    async def open(self, since: datetime) -> None:
        """Begin each source at its first event that is as late; what was before is a gap of the answers."""
        async with admin_client(self._settings.kafka) as admin:
            topics = [full_name(self._settings.kafka, topic) for topic in TRENDING_TOPICS]
            spans = await partition_spans(admin, self._consumer, topics)
        at = int(since.timestamp() * 1000)
        first = await self._consumer.offsets_for_times(dict.fromkeys(spans, at))
        oldest = await self._consumer.offsets_for_times(dict.fromkeys(spans, 0))
        for partition, span in spans.items():
            source = f"{logical_name(self._settings.kafka, partition.topic)}:{partition.partition}"
            start = max(span.begin, first[partition].offset if first[partition] else span.end)
            refused = await self._store.refused_since(self._live, source, start)
            self._counts[partition] = await self._open_source(source, start, span, refused)
            begins_late = oldest[partition] is not None and oldest[partition].timestamp >= at
            until = await self._lost_offsets.before(source, span.begin, since, begins_late=begins_late)
            self._new_gaps += [Gap(source, 0, start, until)] if start else []
            self.lost += [Gap(source, 0, span.begin, until)] if until > since else []
        await self._flush()
        self._consumer.assign(list(spans))
        for partition, count in self._counts.items():
            self._consumer.seek(partition, count.read_offset)

    async def _open_source(self, source: str, start: int, span: Span, refused: frozenset[int]) -> SourceCount:
        async with self._engine.begin() as connection:
            key = {"generation": self.generation, "source": source, "first_offset": start}
            await connection.execute(sql.OPEN_SOURCE, key)
        count = SourceCount(source, start, self._settings.trending.block, refused)
        count.read_offset = max(count.read_offset, span.begin)
        return count

    async def catch_up(self) -> None:
        """Count up to where the live counts are now."""
        targets = await self._targets()
        while behind := [
            partition for partition, count in self._counts.items() if count.next_offset < targets[partition]
        ]:
            self._consumer.pause(*(set(self._counts) - set(behind)))
            self._consumer.resume(*behind)
            fetched = await self._consumer.getmany(*behind, timeout_ms=POLL_MS)
            for partition in behind:
                await self._add(partition, fetched.get(partition, ()), targets[partition])
            if sum(count.size for count in self._counts.values()) >= MOST_EVENTS:
                await self._flush()
        await self._flush()

    async def _add(self, partition: TopicPartition, records: Sequence[ConsumerRecord], target: int) -> None:
        """Count what lies before the target, and notice what does not lie there any more."""
        count, reached = self._counts[partition], await self._consumer.position(partition)
        arrived = min(records[0].offset if records else reached, target)
        if arrived > count.read_offset:
            log_start = (await self._consumer.beginning_offsets([partition]))[partition]
            if (end := min(log_start, arrived)) > count.next_offset:
                self.lost.append(await self._lost_offsets.meanwhile(count.source, count.next_offset, end))
                self._new_gaps.append(self.lost[-1])
                count.skip_to(end)
        wanted = [record for record in records if record.offset < target]
        if wanted:
            count.add(wanted, int(time.time() * 1000))
            self.events += len(wanted)
        if len(wanted) < len(records):
            self._consumer.seek(partition, target)
        if reached >= target:
            count.skip_to(target)  # the last offsets may be marks of a transaction

    async def _targets(self) -> dict[TopicPartition, int]:
        """Where the live counts are, within the log; where they know no such source, its end."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(SOURCES, {"generation": self._live})
            live = {row.source: row.next_offset for row in rows}
        ends = await self._consumer.end_offsets(list(self._counts))
        return {partition: min(end, live.get(self._counts[partition].source, end)) for partition, end in ends.items()}

    async def _flush(self) -> None:
        counts = list(self._counts.values())
        steps = [Step(count.source, count.stored_offset, count.next_offset, NEVER, count.batch()) for count in counts]
        moved = [step for step in steps if step.start != step.end]
        if len(await self._store.flush_candidate(self.generation, moved, self._new_gaps)) != len(moved):
            raise NotRebuilt(f"somebody else has counted in generation {self.generation}: begin again")
        self._new_gaps = []
        for count in counts:
            count.stored()

    async def compare(self, since: datetime) -> Comparison:
        """Of all hours that begin after ``since``, at the offsets where the live counts are."""
        while True:
            await self.catch_up()
            async with self._engine.connect() as connection:
                # One snapshot: offsets and counts of one moment.
                connection = await connection.execution_options(isolation_level="REPEATABLE READ")
                if await self._are_level(connection):
                    return await compare(connection, since, self._live, self.generation)

    async def swap(self) -> None:
        """The candidate is live, and its counters go on at its offsets. Raises ``NotRebuilt``."""
        for _ in range(SWAPS_TRIED):
            await self.catch_up()
            async with self._engine.begin() as connection:
                if (await connection.execute(sql.LOCK_STATE)).scalar_one() != self._live:
                    raise NotRebuilt("another generation has become live meanwhile: begin again")
                if await self._are_level(connection):
                    both = {"live": self._live, "candidate": self.generation}
                    await connection.execute(sql.KEEP_FRESHNESS, both)
                    await connection.execute(sql.MAKE_LIVE, {"candidate": self.generation})
                    await forget_all_but(connection, self._live, self.generation)
                    return
        raise NotRebuilt("the live counts were ahead each time; try again when there is less traffic")

    async def _are_level(self, connection: AsyncConnection) -> bool:
        """Whether both have counted the same offsets; of a log that was made anew, all of it."""
        rows = await connection.execute(SOURCES, {"generation": self._live})
        live = {row.source: row.next_offset for row in rows}
        ends = await self._consumer.end_offsets(list(self._counts))
        return all(
            count.next_offset == min(live.get(count.source, count.next_offset), ends[partition])
            for partition, count in self._counts.items()
        )


@asynccontextmanager
async def open_rebuild(settings: Settings, engine: AsyncEngine, since: datetime) -> AsyncIterator[Rebuild]:
    """A candidate that is given up at the end, unless it has become live. Raises ``NotRebuilt`` while there is another;
    what a killed one has left goes first.
    """
    async with direct_connection(settings.database) as session, reading_client(settings.kafka) as consumer:
        if not await session.fetchval(sql.TRY_LOCK):
            raise NotRebuilt("another rebuild is under way")
        async with engine.begin() as connection:
            live = int((await connection.execute(LIVE_GENERATION)).scalar_one())
            generation = int((await connection.execute(sql.NEXT)).scalar_one())
        try:
            rebuild = Rebuild(settings, engine, consumer, live, generation)
            await rebuild.open(since)
            yield rebuild
        finally:
            async with engine.begin() as connection:
                now_live = int((await connection.execute(LIVE_GENERATION)).scalar_one())
                if now_live != generation:
                    await forget_all_but(connection, live, now_live)


async def forget_all_but(connection: AsyncConnection, *generations: int) -> None:
    """Delete the counts of all other generations."""
    for statement in sql.FORGET:
        await connection.execute(statement, {"kept": list(generations)})
