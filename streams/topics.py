"""Create every topic of ``schemas.topics`` on the broker; what exists is left as it is."""

from collections.abc import Mapping

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from schemas.topics import DEAD_LETTER_SUFFIX, TOPICS, Topic
from streams.kafka_client import MAX_REQUEST_BYTES, client_options, full_name
from streams.settings import Kafka, Settings


async def create_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing and return their names. Raises ``KafkaError`` where one cannot be."""
    admin = AIOKafkaAdminClient(**client_options(settings.kafka))
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [topic for topic in TOPICS if full_name(settings.kafka, topic.name) not in existing]
        if not missing:
            return []
        response = await admin.create_topics([_new(settings.kafka, topic) for topic in missing])
        for name, code, message, *_ in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error(f"topic {name} could not be created: {message}")
        return [topic.name for topic in missing]
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
    configuration = {"retention.ms": str(retention), "message.timestamp.type": "CreateTime"}
    if topic.name.endswith(DEAD_LETTER_SUFFIX):
        configuration["max.message.bytes"] = str(MAX_REQUEST_BYTES)
    return configuration
