"""Create every topic of ``schemas.topics`` on the broker; what exists is left as it is."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from schemas.topics import DEAD_LETTER_SUFFIX, TOPICS, Topic
from streams.kafka_client import MAX_REQUEST_BYTES, client_options, full_name
from streams.setting_groups import Kafka
from streams.settings import Settings


async def create_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing and return their names. Raises ``KafkaError`` where one cannot be."""
    missing = await missing_topics(settings)
    if not missing:
        return []
    async with _admin(settings.kafka) as admin:
        response = await admin.create_topics([_new(settings.kafka, topic) for topic in missing])
    for name, code, message, *_ in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(f"topic {name} could not be created: {message}")
    return [topic.name for topic in missing]


async def missing_topics(settings: Settings) -> list[Topic]:
    """The topics of ``schemas.topics`` that the broker does not have."""
    async with _admin(settings.kafka) as admin:
        existing = set(await admin.list_topics())
    return [topic for topic in TOPICS if full_name(settings.kafka, topic.name) not in existing]


@asynccontextmanager
async def _admin(kafka: Kafka) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**client_options(kafka))
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


def _new(kafka: Kafka, topic: Topic) -> NewTopic:
    return NewTopic(
        name=full_name(kafka, topic.name),
        num_partitions=topic.partitions,
        replication_factor=kafka.replication_factor,
        topic_configs=_configuration(topic),
    )


def _configuration(topic: Topic) -> Mapping[str, str]:
    retention = -1 if topic.retention is None else int(topic.retention.total_seconds() * 1000)
    configuration = {
        "retention.ms": str(retention),
        "message.timestamp.type": "CreateTime",
        # An event of tomorrow is refused by us, with a reason, and not by the broker with its whole batch; an old one
        # that another client sends is refused by nobody.
        "message.timestamp.after.max.ms": str(2**63 - 1),
        "message.timestamp.before.max.ms": str(2**63 - 1),
    }
    if topic.name.endswith(DEAD_LETTER_SUFFIX):
        configuration["max.message.bytes"] = str(MAX_REQUEST_BYTES)
    return configuration
