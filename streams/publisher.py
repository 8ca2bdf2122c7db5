"""Publish facts from a program that is not in a database transaction. Imports ``schemas`` only.

The client that backends install is built from this file too.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import msgspec
from aiokafka import AIOKafkaProducer

from schemas.envelope import DEFAULT_SOURCE, Headers, Identity, event_headers
from schemas.events import FACTS, Fact


class InvalidEvent(ValueError):
    """The event is not of its type's schema; the message names the field."""


def parse_fact(event_type: str, data: bytes | str) -> Fact:
    """The fact of this JSON. Raises ``InvalidEvent``."""
    if event_type not in FACTS:
        raise InvalidEvent(f"{event_type!r} is not an event type; one of {', '.join(FACTS)}")
    try:
        return msgspec.json.decode(data, type=FACTS[event_type])
    except msgspec.MsgspecError as error:
        raise InvalidEvent(f"{event_type}: {error}") from error


def record_of(fact: Fact, source: str = DEFAULT_SOURCE) -> tuple[str, bytes, bytes, Headers, int]:
    """Topic, key, value, headers and timestamp (ms) of the record that says this fact."""
    topic = event_type_of(fact)
    headers = event_headers(Identity(source, topic, fact.natural_id), fact.occurred_at)
    timestamp = int(fact.occurred_at.timestamp() * 1000)
    return topic, str(fact.key).encode(), msgspec.json.encode(fact), headers, timestamp


def event_type_of(fact: Fact) -> str:
    """The name under which this fact is published."""
    return next(name for name, schema in FACTS.items() if isinstance(fact, schema))


class AsyncPublisher:
    """``async with AsyncPublisher("127.0.0.1:9092") as publisher: await publisher.publish(UserCreated(...))``

    Each ``publish`` returns when all in-sync replicas have the event. Publishing the same fact again is safe:
    it has the same identity.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        topic_prefix: str = "",
        source: str = DEFAULT_SOURCE,
        **client_options: Any,
    ) -> None:
        self._options = {"bootstrap_servers": bootstrap_servers, **client_options}
        self._prefix = topic_prefix
        self._source = source
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(**self._options, enable_idempotence=True, acks="all")
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._producer:
            await self._producer.stop()

    async def publish(self, *facts: Fact) -> Sequence[tuple[str, int, int]]:
        """Send the facts and wait for all; (topic, partition, offset) of each. Raises ``KafkaError``."""
        if not self._producer:
            raise RuntimeError("use the publisher as `async with AsyncPublisher(...) as publisher:`")
        sent = []
        for fact in facts:
            topic, key, value, headers, timestamp = record_of(fact, self._source)
            sent.append(
                await self._producer.send(self._prefix + topic, value, key=key, headers=headers, timestamp_ms=timestamp)
            )
        return [(found.topic, found.partition, found.offset) for found in [await future for future in sent]]
