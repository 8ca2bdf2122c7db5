"""Publish facts from a program that is not in a database transaction. Imports ``schemas`` only.

The client that backends install is built from this file too.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.envelope import DEFAULT_SOURCE, Headers
from schemas.events import Fact
from schemas.facts import InvalidEvent, NotDelivered, event_type_of, parse_fact, record_of

__all__ = ["AsyncPublisher", "InvalidEvent", "NotDelivered", "event_type_of", "parse_fact", "record_of"]


class AsyncPublisher:
    """``async with AsyncPublisher("127.0.0.1:9092") as publisher: await publisher.publish(UserCreated(...))``

    Each ``publish`` returns when all in-sync replicas have the event. Publishing the same fact again is safe:
    it has the same identity. No more than ``max_buffered`` facts are under way; who publishes more waits.
    ``client_options`` go to ``AIOKafkaProducer``.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        topic_prefix: str = "",
        source: str = DEFAULT_SOURCE,
        max_buffered: int = 10_000,
        **client_options: Any,
    ) -> None:
        self._options = {"bootstrap_servers": bootstrap_servers, **client_options}
        self._prefix = topic_prefix
        self._source = source
        self._room = asyncio.Semaphore(max_buffered)
        self._changing = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        await self._current()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        await self._retire(self._producer)

    async def publish(self, *facts: Fact) -> Sequence[tuple[str, int, int]]:
        """Send the facts and wait for all; (topic, partition, offset) of each.

        Raises ``InvalidEvent`` before anything is sent, ``NotDelivered`` with the facts that the broker does not have
        for certain.
        """
        if not self._open:
            raise RuntimeError("use the publisher as `async with AsyncPublisher(...) as publisher:`")
        if not facts:
            return []
        records = [record_of(fact, datetime.now(UTC), self._source) for fact in facts]
        producer, under_way = await self._current(), []
        for record in records:
            under_way.append(await self._send(producer, *record))
            if under_way[-1].done() and under_way[-1].exception():
                break  # it could not even be handed over; those behind it would only wait as long for the same
        await asyncio.wait(under_way)
        failures = [(fact, error) for fact, sent in zip(facts, under_way, strict=False) if (error := sent.exception())]
        failures += [(fact, failures[-1][1]) for fact in facts[len(under_way) :]]
        if failures:
            await self._retire(producer)
            raise NotDelivered(failures) from failures[0][1]
        return [(found.topic, found.partition, found.offset) for found in (sent.result() for sent in under_way)]

    async def _send(
        self, producer: AIOKafkaProducer, topic: str, key: bytes, value: bytes, headers: Headers, at: int
    ) -> asyncio.Future[Any]:
        """The future of the delivery; in order, and when there is room for it."""
        await self._room.acquire()
        try:
            sent: asyncio.Future[Any] = await producer.send(
                self._prefix + topic, value, key=key, headers=headers, timestamp_ms=at
            )
        except KafkaError as error:
            sent = asyncio.get_running_loop().create_future()
            sent.set_exception(error)
        except BaseException:
            self._room.release()
            raise
        sent.add_done_callback(lambda _: self._room.release())
        return sent

    async def _current(self) -> AIOKafkaProducer:
        async with self._changing:
            if self._producer is None:
                producer = AIOKafkaProducer(**self._options, enable_idempotence=True, acks="all")
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _retire(self, producer: AIOKafkaProducer | None) -> None:
        """Once a record has failed, the sequence of those behind it is spoilt: the next ones get another producer."""
        if producer is not None:
            self._producer = None if self._producer is producer else self._producer
            await producer.stop()
