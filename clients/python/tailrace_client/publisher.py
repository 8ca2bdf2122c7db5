"""Publish facts from programs without an event loop, on confluent-kafka."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, NamedTuple, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.envelope import DEFAULT_SOURCE
from schemas.events import Fact
from schemas.facts import NotDelivered, record_of

POLL = 0.1
"""Seconds until the thread that takes in reports looks whether it is to end."""

log = logging.getLogger(__name__)


class Delivery(NamedTuple):
    """Where the broker has the event."""

    topic: str
    partition: int
    offset: int


class Publisher:
    """``with Publisher("127.0.0.1:9092") as publisher: publisher.publish(UserCreated(...))``

    Idempotent and in order for each key; publishing the same fact again is safe, it has the same identity. Threads may
    share one; a process makes its own after a fork. No more than ``max_buffered`` facts are under way: who sends more
    waits. What the broker has not acknowledged within ``timeout`` seconds is reported as not delivered.
    ``configuration`` is librdkafka's and goes before ours.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        topic_prefix: str = "",
        source: str = DEFAULT_SOURCE,
        max_buffered: int = 10_000,
        timeout: float = 30.0,
        configuration: Mapping[str, Any] | None = None,
    ) -> None:
        self._prefix, self._source, self._timeout = topic_prefix, source, timeout
        self._room = threading.BoundedSemaphore(max_buffered)
        self._configuration = {
            "bootstrap.servers": bootstrap_servers,
            "enable.idempotence": True,
            "acks": "all",
            "delivery.timeout.ms": int(timeout * 1000),
            "topic.metadata.propagation.max.ms": int(min(timeout, 5) * 1000),
            "linger.ms": 5,
            # That of Kafka's own clients: one key has one partition, whoever publishes.
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": max(2 * max_buffered, 1000),
            **(configuration or {}),
        }
        self._process = 0
        self._producer: Producer | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._closing.clear()
        self._process = os.getpid()
        self._producer = Producer(self._configuration, logger=log)
        self._thread = threading.Thread(target=self._take_reports, args=(self._producer,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits until everything that was sent is delivered or reported."""
        producer, self._producer = self._producer, None
        if producer is None or self._thread is None:
            return
        self._closing.set()
        self._thread.join()
        # Each has its report when its time is up; the rest is for the report's own way.
        if left := producer.flush(self._timeout + 5):
            log.error("%d events had no report when the publisher was closed; they may not have been delivered", left)

    def publish(self, *facts: Fact) -> list[Delivery]:
        """Send the facts and wait for all. Raises ``InvalidEvent`` before anything is sent, ``NotDelivered`` with the
        facts that the broker does not have for certain.
        """
        records = [record_of(fact, datetime.now(UTC), self._source) for fact in facts]
        sent = [self._send(fact, *record, log_failure=False) for fact, record in zip(facts, records, strict=True)]
        failures = [(fact, error) for fact, found in zip(facts, sent, strict=True) if (error := _error(found))]
        if failures:
            raise NotDelivered(failures) from failures[0][1]
        return [found.result() for found in sent]

    def send(self, fact: Fact) -> "Future[Delivery]":
        """Send the fact and do not wait; the future has the delivery, or ``NotDelivered``, which is logged too.

        Waits where the buffer is full. Raises ``InvalidEvent``.
        """
        return self._send(fact, *record_of(fact, datetime.now(UTC), self._source), log_failure=True)

    def _send(
        self, fact: Fact, topic: str, key: bytes, value: bytes, headers: Any, at: int, *, log_failure: bool
    ) -> "Future[Delivery]":
        producer = self._producer
        if producer is None or self._process != os.getpid():
            raise RuntimeError("use the publisher as `with Publisher(...) as publisher:`, in the process that uses it")
        future: Future[Delivery] = Future()
        if not self._room.acquire(timeout=self._timeout):
            _fail(future, fact, TimeoutError(f"the buffer has been full for {self._timeout} s"), log_failure)
            return future
        report = self._report_to(future, fact, log_failure)
        try:
            producer.produce(self._prefix + topic, value, key, headers=headers, timestamp=at, on_delivery=report)
        except (BufferError, KafkaException) as error:
            self._room.release()
            _fail(future, fact, error, log_failure)
        except BaseException:
            self._room.release()
            raise
        return future

    def _report_to(
        self, future: "Future[Delivery]", fact: Fact, log_failure: bool
    ) -> Callable[[KafkaError | None, Message], None]:
        def report(error: KafkaError | None, message: Message) -> None:
            self._room.release()
            if error is not None:
                _fail(future, fact, KafkaException(error), log_failure)
            else:
                place = message.topic(), message.partition(), message.offset()
                future.set_result(Delivery(*place))  # type: ignore[arg-type]

        return report

    def _take_reports(self, producer: Producer) -> None:
        while not self._closing.is_set():
            producer.poll(POLL)


def _fail(future: "Future[Delivery]", fact: Fact, error: Exception, log_failure: bool) -> None:
    if log_failure:
        log.error("event %s may not have been delivered: %s", fact.natural_id, error)
    future.set_exception(NotDelivered([(fact, error)]))


def _error(sent: "Future[Delivery]") -> BaseException | None:
    """Why it failed, once that is known."""
    found = sent.exception()
    return found.failures[0][1] if isinstance(found, NotDelivered) else None
