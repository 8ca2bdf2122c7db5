"""What every Kafka client of ours is given, and the names that a deployment's prefix makes."""

import asyncio
import ssl
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.settings import Kafka

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
