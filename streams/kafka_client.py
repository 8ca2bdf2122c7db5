"""What every Kafka client of ours is given, and the names that a deployment's prefix makes."""

import asyncio
import ssl
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from streams.setting_groups import Kafka

AFTER_ERROR = 1.0

log = structlog.get_logger(__name__)


def client_options(kafka: Kafka) -> dict[str, Any]:
    """Address and security, as keyword arguments of any aiokafka client."""
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers,
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.endswith("SSL"):
        options["ssl_context"] = ssl.create_default_context(cafile=kafka.ca_file)
    if kafka.security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.username,
            "sasl_plain_password": kafka.password,
        }
    return options


def producer_for(kafka: Kafka, *, linger_ms: int = 0) -> AIOKafkaProducer:
    """A producer that loses nothing and keeps order: idempotent, acknowledged by all replicas."""
    return AIOKafkaProducer(
        **client_options(kafka),
        enable_idempotence=True,
        acks="all",
        linger_ms=linger_ms,
        max_batch_size=256 * 1024,
        max_request_size=MAX_REQUEST_BYTES,
        request_timeout_ms=30_000,
    )


async def require_topic(producer: AIOKafkaProducer, topic: str) -> None:
    """Raises ``UnknownTopicOrPartitionError`` at once where the broker lacks the topic; ``send`` would look for it
    for half a minute, and everything behind it would wait.
    """
    if producer.client.cluster.partitions_for_topic(topic) is None:
        producer.client.add_topic(topic)
        await producer.client.force_metadata_update()
    if producer.client.cluster.partitions_for_topic(topic) is None:
        raise UnknownTopicOrPartitionError(topic)


class RenewedProducer:
    """Sends with a producer that is replaced when one of its records has failed: a record that the broker refuses
    spoils the sequence of all behind it in its partition, for as long as the producer lives.
    """

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._producer: AIOKafkaProducer | None = None
        self._changing = asyncio.Lock()
        self._stopping: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "RenewedProducer":
        await self._current()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._producer:
            self._retire(self._producer)
        await asyncio.gather(*self._stopping, return_exceptions=True)

    async def send(self, topic: str, value: bytes | None, **record: Any) -> asyncio.Future[object]:
        """As ``AIOKafkaProducer.send``. Raises ``UnknownTopicOrPartitionError`` at once for a missing topic."""
        producer = await self._current()
        await require_topic(producer, topic)
        sent: asyncio.Future[object] = await producer.send(topic, value, **record)
        sent.add_done_callback(lambda future: self._renew_after(future, producer))
        return sent

    async def _current(self) -> AIOKafkaProducer:
        async with self._changing:
            if self._producer is None:
                producer = producer_for(self._kafka)
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    def _renew_after(self, sent: asyncio.Future[object], producer: AIOKafkaProducer) -> None:
        if not sent.cancelled() and sent.exception() and self._producer is producer:
            self._producer = None
            self._retire(producer)

    def _retire(self, producer: AIOKafkaProducer) -> None:
        """What it has under way still ends; nobody waits for that."""
        stopping = asyncio.create_task(producer.stop(), name="retire a producer")
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)


MAX_REQUEST_BYTES = 2_000_000
"""Room for a dead letter: a record of the broker's default limit of 1 MiB, and the headers that say why."""


async def wait_for_broker(kafka: Kafka) -> None:
    """Returns when the broker answers; says meanwhile that it does not."""
    while True:
        admin = AIOKafkaAdminClient(**client_options(kafka))
        try:
            await admin.start()
        except KafkaError as error:
            log.warning("waiting for the broker", servers=kafka.bootstrap_servers, error=repr(error))
            await asyncio.sleep(AFTER_ERROR)
        else:
            return
        finally:
            await admin.close()


def full_name(kafka: Kafka, topic: str) -> str:
    """The topic's name on the broker."""
    return kafka.topic_prefix + topic


def logical_name(kafka: Kafka, topic: str) -> str:
    """The topic's name in ``schemas.topics``."""
    return topic.removeprefix(kafka.topic_prefix)


def worker_group(kafka: Kafka) -> str:
    """The consumer group of the workers."""
    return kafka.topic_prefix + "tailrace"


def trending_group(kafka: Kafka) -> str:
    """The consumer group of the trending counters."""
    return kafka.topic_prefix + "tailrace-trending"
