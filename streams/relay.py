"""The relay: publishes outbox rows in order and deletes them when the broker has them.

One is active at a time, held by an advisory lock on the connection that also reads and deletes, so that
who loses the lock loses the rows with it. A relay killed between publishing and deleting publishes
again; ledger and counter know the repeat.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from schemas.topics import TOPIC_BY_NAME
from streams import relay_sql as sql
from streams.db import LOST_CONNECTION, direct_connection
from streams.health import Progress
from streams.kafka_client import full_name, producer_for
from streams.metrics import Metrics
from streams.outbox import unpack_headers
from streams.settings import Settings

BATCH = 500
POLL = timedelta(milliseconds=20)
IDLE_AFTER = timedelta(seconds=1)
IDLE_POLL = timedelta(milliseconds=250)
STANDBY_POLL = timedelta(seconds=1)
AFTER_ERROR = timedelta(seconds=1)

log = structlog.get_logger(__name__)


class Relay:
    """Runs for ever in each worker; at most one of them is active."""

    def __init__(self, settings: Settings, metrics: Metrics, progress: Progress) -> None:
        self._settings = settings
        self._metrics = metrics
        self._progress = progress
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Stand by, lead, and begin again after any error of database or broker."""
        while True:
            try:
                async with direct_connection(self._settings.database) as connection:
                    await self._stand_by(connection)
                    await self._lead(connection)
            except (*LOST_CONNECTION, asyncpg.PostgresError, KafkaError) as error:
                log.warning("relay starts again", error=repr(error))
            finally:
                self._metrics.relay_active.set(0)
            await asyncio.sleep(AFTER_ERROR.total_seconds())

    async def _stand_by(self, connection: asyncpg.Connection) -> None:
        while not await connection.fetchval(sql.TRY_LOCK):
            self._progress.beat()
            await asyncio.sleep(STANDBY_POLL.total_seconds())

    async def _lead(self, connection: asyncpg.Connection) -> None:
        self._metrics.relay_active.set(1)
        producer = producer_for(self._settings.kafka)
        await connection.add_listener(sql.CHANNEL, lambda *_: self._woken.set())
        await producer.start()
        try:
            quiet = timedelta()
            while True:
                sent = await self._publish_due(connection, producer)
                self._progress.beat()
                quiet = timedelta() if sent else quiet + POLL
                if quiet >= IDLE_AFTER:
                    await self._sleep_until_woken(connection, producer)
                    quiet = timedelta()
                elif sent < BATCH:
                    await asyncio.sleep(POLL.total_seconds())
        finally:
            with suppress(KafkaError):
                await producer.stop()

    async def _sleep_until_woken(self, connection: asyncpg.Connection, producer: AIOKafkaProducer) -> None:
        """Say that we sleep, then look once more: a writer that did not see it has committed by then or is
        found by the slow poll.
        """
        self._woken.clear()
        await connection.execute(sql.SET_IDLE, True)
        try:
            while not await self._publish_due(connection, producer):
                self._progress.beat()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), IDLE_POLL.total_seconds())
                self._woken.clear()
        finally:
            await connection.execute(sql.SET_IDLE, False)

    async def _publish_due(self, connection: asyncpg.Connection, producer: AIOKafkaProducer) -> int:
        """Publish the oldest rows that are due; how many were taken."""
        rows = await connection.fetch(sql.DUE, BATCH)
        if not rows:
            return 0
        sent, refused = await self._publish(rows, producer)
        if sent:
            await connection.execute(sql.DELETE, sent)
        for row_id, reason in refused:
            log.error("outbox row set aside", row=row_id, reason=reason)
            self._metrics.set_aside.inc()
            await connection.execute(sql.SET_ASIDE, row_id, reason)
        return len(rows)

    async def _publish(
        self, rows: Sequence[asyncpg.Record], producer: AIOKafkaProducer
    ) -> tuple[list[int], list[tuple[int, str]]]:
        """Ids that the broker has, and (id, reason) of rows that can never be sent.

        Raises ``KafkaError`` where the broker is at fault; the rows then stay, and go out again.
        """
        under_way: list[tuple[asyncpg.Record, asyncio.Future[object]]] = []
        refused: list[tuple[int, str]] = []
        for row in rows:
            try:
                under_way.append((row, await self._send(row, producer)))
            except (ValueError, MessageSizeTooLargeError) as error:
                refused.append((row["id"], str(error) or type(error).__name__))
        results = await asyncio.gather(*(future for _, future in under_way), return_exceptions=True)
        sent: list[int] = []
        for (row, _), result in zip(under_way, results, strict=True):
            if isinstance(result, MessageSizeTooLargeError):
                refused.append((row["id"], f"the broker takes no record of this size: {result}"))
            elif not isinstance(result, BaseException):
                self._metrics.relayed.labels(row["topic"]).inc()
                sent.append(row["id"])
        failed = [result for result in results if isinstance(result, BaseException)]
        if failed and not sent and not refused:
            raise KafkaError(f"{len(failed)} rows could not be published: {failed[0]!r}")
        return sent, refused

    async def _send(self, row: asyncpg.Record, producer: AIOKafkaProducer) -> asyncio.Future[object]:
        if row["topic"] not in TOPIC_BY_NAME:
            raise ValueError(f"topic {row['topic']!r} is not one of ours")
        sent: asyncio.Future[object] = await producer.send(
            full_name(self._settings.kafka, row["topic"]),
            row["payload"],
            key=row["key"],
            headers=unpack_headers(row["headers"]),
            timestamp_ms=int(row["occurred_at"].timestamp() * 1000),
        )
        return sent
