"""The trending counter: one consumer that counts and stores, exactly once for any kill or rebalance.

Whether a batch counts is decided by the compare-and-set of its flush, not by the consumer group: two counters
that both believe to own a source store each offset once. Group offsets are committed for the lag display only.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from streams.cancellation import is_cancelled
from streams.db import is_passing
from streams.health import Progress
from streams.kafka_client import logical_name
from streams.metrics import Metrics
from streams.settings import Settings
from streams.trending.consumer import require_answers, trending_consumer
from streams.trending.counting import SourceCount
from streams.trending.store import Gap, GenerationMoved, Step, TrendingStore

POLL_MS = 100
AFTER_ERROR = 1.0
HEARTBEAT = 1.0
COMMIT_EVERY = 5.0
NEVER = datetime.fromtimestamp(0, UTC)

log = structlog.get_logger(__name__)


class Counter(ConsumerRebalanceListener):  # type: ignore[misc]
    """Counts the sources that its group gives it, for ever."""

    def __init__(self, settings: Settings, store: TrendingStore, metrics: Metrics, progress: Progress) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._progress = progress
        self._consumer: AIOKafkaConsumer | None = None
        self._generation = 0
        self._counts: dict[TopicPartition, SourceCount] = {}
        self._gaps: dict[TopicPartition, list[Gap]] = {}
        self._opened_at: dict[TopicPartition, float] = {}
        self._to_open: set[TopicPartition] = set()
        self._broken: dict[TopicPartition, str] = {}

    def problem(self) -> str | None:
        """For health: a source that cannot be counted, and what to do."""
        return next(iter(self._broken.values()), None)

    async def run(self) -> None:
        """Count; begin again from what is stored after any error of broker or database."""
        while True:
            try:
                await self._count_with_a_new_consumer()
            except Exception as error:
                if is_cancelled() or not (isinstance(error, KafkaError) or is_passing(error)):
                    raise
                log.warning("counter starts again", error=repr(error))
            await asyncio.sleep(AFTER_ERROR)

    async def _count_with_a_new_consumer(self) -> None:
        self._consumer = trending_consumer(self._settings.kafka, self)
        try:
            await self._count(self._consumer)
        finally:
            self._forget([*self._counts, *self._broken, *self._to_open])
            await self._consumer.stop()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Fetch nothing of them until the loop has read where they stand; no await may come before this."""
        if self._consumer:
            self._consumer.pause(*assigned)
        self._to_open = set(assigned)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Drop what was not stored: the next owner counts it."""
        self._forget(revoked)

    def _forget(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            self._counts.pop(partition, None)
            self._gaps.pop(partition, None)
            self._broken.pop(partition, None)
            self._to_open.discard(partition)

    async def _count(self, consumer: AIOKafkaConsumer) -> None:
        await consumer.start()
        self._generation = await self._store.live_generation()
        flush_at = commit_at = time.monotonic()
        while True:
            if self._to_open:
                await self._open(consumer, sorted(self._to_open))
            if sum(count.size for count in self._counts.values()) < self._settings.trending.max_batch:
                for partition, records in (await consumer.getmany(timeout_ms=POLL_MS)).items():
                    await self._add(consumer, partition, records)
            else:  # the database is away: hold still, without leaving the group
                await asyncio.sleep(POLL_MS / 1000)
            require_answers(consumer, {partition: self._opened_at[partition] for partition in self._counts})
            if time.monotonic() >= flush_at:
                flush_at = time.monotonic() + await self._flush(consumer)
            if time.monotonic() >= commit_at:
                await self._commit_for_display(consumer)
                commit_at = time.monotonic() + COMMIT_EVERY

    async def _open(self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
        """Go on where the stored counts end, after reading again what must be remembered.

        All are asked for at once: a question to the broker waits behind each fetch that is under way.
        """
        starts = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            count = await self._restored(partition, starts[partition])
            if partition not in self._to_open:
                continue  # revoked meanwhile
            if ends[partition] < count.next_offset:
                self._break(partition, count.source, f"ends at {ends[partition]}, {count.next_offset} were counted")
                continue
            self._skip_lost(partition, count, starts[partition])
            self._to_open.discard(partition)
            self._counts[partition] = count
            self._opened_at[partition] = time.time()
            consumer.seek(partition, count.read_offset)
        consumer.resume(*(partition for partition in partitions if partition in self._counts))

    async def _restored(self, partition: TopicPartition, log_start: int) -> SourceCount:
        source = f"{logical_name(self._settings.kafka, partition.topic)}:{partition.partition}"
        stored = await self._store.open_source(self._generation, source, log_start)
        block = self._settings.trending.block
        first_read = SourceCount(source, stored, block).read_offset
        return SourceCount(source, stored, block, await self._store.refused_since(self._generation, source, first_read))

    def _skip_lost(self, partition: TopicPartition, count: SourceCount, log_start: int) -> None:
        """Where retention was faster than we: say so, and go on with what there is."""
        if log_start > count.next_offset:
            log.error("events were lost to retention", source=count.source, start=count.next_offset, end=log_start)
            gap = Gap(count.source, count.next_offset, log_start, datetime.now(UTC))
            self._gaps.setdefault(partition, []).append(gap)
            count.skip_to(log_start)
        count.read_offset = max(count.read_offset, log_start)

    def _break(self, partition: TopicPartition, source: str, what: str) -> None:
        self._to_open.discard(partition)
        self._counts.pop(partition, None)
        reason = (
            f"{source} {what}: the topic was made anew. `tailrace trends restart` begins a new generation of counts"
        )
        self._broken[partition] = reason
        log.error("trending source is not counted", reason=reason)

    async def _add(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, records: Sequence[ConsumerRecord]
    ) -> None:
        count = self._counts.get(partition)
        if count is None or not records:
            return
        if records[0].offset < count.read_offset:
            consumer.pause(partition)
            self._break(partition, count.source, f"was read to {count.read_offset}, then gave {records[0].offset}")
            return
        if records[0].offset > count.read_offset:
            start = (await consumer.beginning_offsets([partition]))[partition]
            if self._counts.get(partition) is not count:
                return
            self._skip_lost(partition, count, start)
        count.add(records, int(time.time() * 1000))
        self._metrics.counted.labels(count.source).inc(len(records))

    async def _flush(self, consumer: AIOKafkaConsumer) -> float:
        """Store what was counted, and how far each source is up to date; seconds until the next flush."""
        positions = {partition: await consumer.position(partition) for partition in list(self._counts)}
        counts = {partition: count for partition, count in self._counts.items() if partition in positions}
        steps = {p: self._step(consumer, p, count, positions[p]) for p, count in counts.items()}
        gaps = [gap for partition, found in self._gaps.items() if partition in counts for gap in found]
        try:
            advanced = await self._store.flush(self._generation, list(steps.values()), gaps)
        except GenerationMoved as moved:
            log.warning("counting begins anew", reason=str(moved))
            self._generation = await self._store.live_generation()
            self._open_again(consumer, {*self._counts, *self._broken})
            return 0
        except Exception as error:
            if is_cancelled() or not is_passing(error):
                raise
            log.warning("counts wait for the database", error=repr(error))
            return AFTER_ERROR
        refused = {partition for partition, step in steps.items() if step.source not in advanced}
        self._measure_excluded(step for partition, step in steps.items() if partition not in refused)
        self._settle(consumer, counts, refused)
        self._progress.beat()
        return self._settings.trending.flush.total_seconds() if any(s.batch for s in steps.values()) else HEARTBEAT

    def _settle(
        self, consumer: AIOKafkaConsumer, counts: Mapping[TopicPartition, SourceCount], refused: set[TopicPartition]
    ) -> None:
        """Begin the next batch where this one is stored; elsewhere another owner was faster: begin from its offset."""
        for partition in counts.keys() - refused:
            self._gaps.pop(partition, None)
            counts[partition].stored()
        if refused:
            self._metrics.refused_flushes.inc(len(refused))
            log.warning("counted by another owner", sources=[counts[partition].source for partition in refused])
            self._open_again(consumer, refused)
        self._metrics.flushes.inc()

    def _measure_excluded(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if step.batch:
                self._metrics.excluded.labels("late").inc(len(step.batch.delta.body.late))
                self._metrics.excluded.labels("future").inc(len(step.batch.delta.body.future))

    def _open_again(self, consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> None:
        held = {partition for partition in partitions if partition in self._counts or partition in self._broken}
        consumer.pause(*held)
        self._forget(held)
        self._to_open |= held

    def _step(self, consumer: AIOKafkaConsumer, partition: TopicPartition, count: SourceCount, position: int) -> Step:
        """The batch, and until when all is counted: the time of the last fetch that left nothing unread.

        ``position`` and not the last event's offset: a log may end with markers of transactions.
        """
        polled = consumer.last_poll_timestamp(partition)
        highwater = consumer.highwater(partition)
        up_to_date = polled and highwater is not None and position >= highwater
        counted_until = datetime.fromtimestamp(polled / 1000, UTC) if up_to_date else NEVER
        return Step(count.source, count.stored_offset, count.next_offset, counted_until, count.batch())

    async def _commit_for_display(self, consumer: AIOKafkaConsumer) -> None:
        """Group offsets show the lag to any Kafka tool; nothing depends on them."""
        offsets = {partition: count.stored_offset for partition, count in self._counts.items()}
        try:
            if offsets:
                await consumer.commit(offsets)
        except KafkaError as error:
            log.debug("lag display not updated", error=repr(error))
