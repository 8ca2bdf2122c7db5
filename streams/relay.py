"""The relay: publishes outbox rows in order and deletes them when the broker has them.

One leads at a time (``streams.relay_lead``), on the connection that also reads and deletes, so that who loses
the lock loses the rows with it. A relay killed between publishing and deleting publishes again; ledger and
counter know the repeat.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, UnknownTopicOrPartitionError

from schemas.envelope import record_time
from schemas.topics import TOPIC_BY_NAME
from streams import relay_sql as sql
from streams.cancellation import is_cancelled
from streams.db import LOST_CONNECTION, direct_connection
from streams.health import Progress
from streams.kafka_client import full_name, producer_for, require_topic
from streams.metrics import Metrics
from streams.outbox import unpack_headers
from streams.relay_lead import Lead, LeadLapsed, stand_by
from streams.settings import Settings

BATCH = 500
BATCH_BYTES = 8_000_000
POLL = timedelta(milliseconds=20)
IDLE_AFTER = timedelta(seconds=1)
IDLE_POLL = timedelta(milliseconds=250)
AFTER_ERROR = timedelta(seconds=1)
VACUUM_AFTER = 25_000
"""Deleted rows: some 20 MB of table and index."""
MISSING_FOR = timedelta(seconds=5)
"""Until a topic that the broker lacks is asked for again."""

log = structlog.get_logger(__name__)


class Relay:
    """Runs for ever in each worker; at most one of them is active."""

    def __init__(self, settings: Settings, metrics: Metrics, progress: Progress) -> None:
        self._settings = settings
        self._metrics = metrics
        self._progress = progress
        self._woken = asyncio.Event()
        self._missing: dict[str, float] = {}
        self._deleted = 0

    async def run(self) -> None:
        """Stand by, lead, and begin again after any error of database or broker."""
        while True:
            try:
                async with direct_connection(self._settings.database) as connection:
                    lead = await stand_by(connection, self._progress)
                    await connection.add_listener(sql.CHANNEL, lambda *_: self._woken.set())
                    await self._lead(lead)
            except (*LOST_CONNECTION, asyncpg.PostgresError, KafkaError, LeadLapsed) as error:
                if is_cancelled():
                    raise
                log.warning("relay starts again", error=repr(error))
            finally:
                self._metrics.relay_active.set(0)
            await asyncio.sleep(AFTER_ERROR.total_seconds())

    async def _lead(self, lead: Lead) -> None:
        self._metrics.relay_active.set(1)
        await lead.execute(sql.SET_IDLE, False)
        producer = producer_for(self._settings.kafka)
        try:
            await lead.keep_during(producer.start())
            quiet = timedelta()
            while True:
                sent = await self._publish_due(lead, producer)
                self._progress.beat()
                quiet = timedelta() if sent else quiet + POLL
                if quiet >= IDLE_AFTER:
                    await self._sleep_until_woken(lead, producer)
                    quiet = timedelta()
                elif sent < BATCH:
                    await asyncio.sleep(POLL.total_seconds())
        finally:
            with suppress(KafkaError):
                await producer.stop()

    async def _sleep_until_woken(self, lead: Lead, producer: AIOKafkaProducer) -> None:
        """Say that we sleep, then look once more: a writer that did not see it has committed by then or is
        found by the slow poll.
        """
        self._woken.clear()
        await lead.execute(sql.SET_IDLE, True)
        try:
            while not await self._publish_due(lead, producer):
                self._progress.beat()
                with suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_POLL.total_seconds()):
                        await self._woken.wait()
                self._woken.clear()
        finally:
            await lead.execute(sql.SET_IDLE, False)

    async def _publish_due(self, lead: Lead, producer: AIOKafkaProducer) -> int:
        """Publish the oldest rows that are due; how many were taken. Raises ``KafkaError`` where the broker is
        at fault: the rows that it does not have stay, and go out again.
        """
        rows = await lead.fetch(sql.DUE, BATCH, BATCH_BYTES, self._missing_topics())
        if not rows:
            return 0
        sent, suspects, passing = await lead.keep_during(self._publish(lead, rows, producer))
        await self._delete(lead, sent)
        if suspects:
            await self._publish_each(lead, suspects)
        if passing or suspects:
            raise passing or KafkaError("a refused record has spoilt the producer's sequence")
        return len(rows)

    async def _publish(
        self, lead: Lead, rows: Sequence[asyncpg.Record], producer: AIOKafkaProducer
    ) -> tuple[list[asyncpg.Record], list[asyncpg.Record], KafkaError | None]:
        """The rows that the broker has, those that it refused, perhaps only for being in a batch with another,
        and the error that will pass, if there was one.
        """
        under_way: list[tuple[asyncpg.Record, asyncio.Future[object]]] = []
        suspects = []
        for row in rows:
            lead.require()
            try:
                under_way.append((row, await self._send(row, producer)))
            except UnknownTopicOrPartitionError:
                self._note_missing(row["topic"])
            except (ValueError, MessageSizeTooLargeError):
                suspects.append(row)
        results = await asyncio.gather(*(future for _, future in under_way), return_exceptions=True)
        sent, passing = [], None
        for (row, _), result in zip(under_way, results, strict=True):
            if not isinstance(result, BaseException):
                sent.append(row)
            elif isinstance(result, KafkaError) and result.retriable:
                passing = result
            else:
                suspects.append(row)
        return sent, suspects, passing

    async def _publish_each(self, lead: Lead, rows: Sequence[asyncpg.Record]) -> None:
        """Send rows one by one, in order; set those aside that are refused even so."""
        for row in sorted(rows, key=lambda row: (row["due_at"], row["id"])):
            lead.require()
            try:
                await lead.keep_during(self._send_alone(row))
            except (ValueError, KafkaError) as error:
                if isinstance(error, KafkaError) and error.retriable:
                    raise
                await self._set_aside(lead, row, error)
            else:
                await self._delete(lead, [row])

    async def _send_alone(self, row: asyncpg.Record) -> None:
        """With a producer of its own: a refused record spoils the sequence of those after it."""
        producer = producer_for(self._settings.kafka)
        try:
            await producer.start()
            await (await self._send(row, producer))
        finally:
            await producer.stop()

    async def _delete(self, lead: Lead, rows: Sequence[asyncpg.Record]) -> None:
        if rows:
            await lead.execute(sql.DELETE, [row["id"] for row in rows], [row["due_at"] for row in rows])
            self._deleted += len(rows)
        if self._deleted >= VACUUM_AFTER:
            await lead.execute(sql.VACUUM)
            self._deleted = 0
        for topic, count in Counter(row["topic"] for row in rows).items():
            self._metrics.relayed.labels(topic).inc(count)

    async def _set_aside(self, lead: Lead, row: asyncpg.Record, error: Exception) -> None:
        reason = _reason(row, error)
        log.error("outbox row set aside", row=row["id"], topic=row["topic"], reason=reason)
        self._metrics.set_aside.inc()
        await lead.execute(sql.SET_ASIDE, row["id"], row["due_at"], reason)

    def _missing_topics(self) -> list[str]:
        """Topics that are not asked for again yet."""
        now = time.monotonic()
        self._missing = {topic: until for topic, until in self._missing.items() if until > now}
        return list(self._missing)

    def _note_missing(self, topic: str) -> None:
        if topic not in self._missing:
            log.warning("the broker has no such topic: its rows wait; run `tailrace migrate`", topic=topic)
        self._missing[topic] = time.monotonic() + MISSING_FOR.total_seconds()

    async def _send(self, row: asyncpg.Record, producer: AIOKafkaProducer) -> asyncio.Future[object]:
        if row["topic"] not in TOPIC_BY_NAME:
            raise ValueError(f"topic {row['topic']!r} is not one of ours")
        topic = full_name(self._settings.kafka, row["topic"])
        await require_topic(producer, topic)
        sent: asyncio.Future[object] = await producer.send(
            topic,
            row["payload"],
            key=row["key"],
            headers=unpack_headers(row["headers"]),
            timestamp_ms=_record_time(row),
        )
        return sent


def _record_time(row: asyncpg.Record) -> int:
    """In ms: the row's own time, and where the topic does not keep records for ever, one that it bears."""
    at: datetime = row["occurred_at"]
    if TOPIC_BY_NAME[row["topic"]].retention is None:
        return int(at.timestamp() * 1000)
    return record_time(at, datetime.now(UTC))


def _reason(row: asyncpg.Record, error: Exception) -> str:
    if isinstance(error, MessageSizeTooLargeError):
        return f"too large for a record of this topic: {len(row['payload'] or b'')} bytes"
    return f"the broker refuses it: {error!r}" if isinstance(error, KafkaError) else str(error)
