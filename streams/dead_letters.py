"""Dead letters: the record's bytes and headers untouched, and why it could not be dealt with."""

import asyncio
import traceback
import uuid
from collections.abc import Callable

import structlog
from aiokafka.errors import KafkaError

from schemas.envelope import Headers, rfc3339
from schemas.topics import dead_letter_topic
from streams.clock import Clock
from streams.kafka_client import RenewedProducer, full_name
from streams.outbox import OutboxRow
from streams.records import Record
from streams.setting_groups import Kafka

AFTER_ERROR = 1.0
PREFIX = "tailrace-"
MAX_REASON = 4000
MAX_STACK_BYTES = 8 * 1024

log = structlog.get_logger(__name__)


def dead_letter_headers(
    record: Record,
    reason: str,
    now: str,
    *,
    task: str | None = None,
    attempts: int | None = None,
    error: BaseException | None = None,
    run: uuid.UUID | None = None,
) -> Headers:
    """The record's own headers, then where it came from and why it is here.

    ``error`` is the exception behind the reason, where there was one: its class and the end of its stack are kept.
    ``run`` is the command's id in the ledger.
    """
    facts = {
        "reason": reason[:MAX_REASON],
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "task": task,
        "attempts": None if attempts is None else str(attempts),
        "run": None if run is None else str(run),
        "error": None if error is None else error_class(error),
        "stack": None if error is None else _end_of_stack(error),
        "at": now,
    }
    own = [(name, value) for name, value in record.headers if not name.startswith(PREFIX)]
    return own + [
        (PREFIX + name, value.encode(errors="backslashreplace")) for name, value in facts.items() if value is not None
    ]


def error_class(error: BaseException) -> str:
    """The exception's class as code names it: ``TimeoutError``, ``aiosmtplib.errors.SMTPConnectError``."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _end_of_stack(error: BaseException) -> str:
    """The traceback as Python prints it; of a long one the end, where the fault is."""
    encoded = "".join(traceback.format_exception(error)).encode(errors="backslashreplace")
    return encoded[-MAX_STACK_BYTES:].decode(errors="ignore")


class DeadLetters:
    """Where records go that cannot be dealt with."""

    def __init__(self, kafka: Kafka, producer: RenewedProducer, clock: Clock) -> None:
        self._kafka = kafka
        self._producer = producer
        self._clock = clock

    async def publish(
        self,
        record: Record,
        reason: str,
        error: BaseException | None = None,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """For what cannot be identified: returns when the broker has it, however long that takes, or when it is no
        longer wanted because the record is somebody else's now.
        """
        topic = dead_letter_topic(record.topic)
        headers = dead_letter_headers(record, reason, rfc3339(self._clock.now()), error=error)
        while wanted():
            try:
                sent = await self._producer.send(
                    full_name(self._kafka, topic),
                    record.value,
                    key=record.key,
                    headers=headers,
                    timestamp_ms=record.timestamp,
                )
                await sent
            except KafkaError as error:
                log.warning("dead letter waits for the broker", topic=topic, error=repr(error))
                await asyncio.sleep(AFTER_ERROR)
            else:
                log.error("dead letter", topic=topic, offset=record.offset, reason=reason)
                return

    def row(
        self,
        record: Record,
        reason: str,
        task: str,
        attempts: int,
        *,
        error: BaseException | None = None,
        run: uuid.UUID | None = None,
    ) -> OutboxRow:
        """For a command: a row that commits with the ledger's ``dead``."""
        now = rfc3339(self._clock.now())
        return OutboxRow(
            topic=dead_letter_topic(record.topic),
            key=record.key,
            payload=record.value,
            headers=dead_letter_headers(record, reason, now, task=task, attempts=attempts, error=error, run=run),
            occurred_at=record.published_at,
        )
