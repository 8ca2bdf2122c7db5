"""Whether the broker answers, has our topics, and how far each consumer group is behind."""

import asyncio
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaConnectionError, KafkaError

from schemas.topics import QUEUES, TOPICS, dead_letter_topic
from streams.kafka_client import client_options, full_name, logical_name, trending_group, worker_group
from streams.setting_groups import Kafka
from streams.settings import Settings

WORKER_TOPICS = ("user.created", "post.uploaded", *(queue.topic for queue in QUEUES))
TRENDING_TOPICS = ("post.uploaded", "post.tagged")
CLOSING = 1
"""Seconds for a client to say goodbye."""
COORDINATOR_TRIES = 10
BETWEEN_TRIES = 0.3


async def check_broker(settings: Settings) -> tuple[str | None, dict[str, Any]]:
    """Cluster, missing topics, lag by group and topic, dead letters by topic. The problem, and what is known."""
    kafka = settings.kafka
    facts: dict[str, Any] = {"servers": kafka.bootstrap_servers}
    admin = AIOKafkaAdminClient(**client_options(kafka), request_timeout_ms=4000)
    try:
        await admin.start()
        facts |= _cluster(await admin.describe_cluster())
        existing = set(await admin.list_topics())
        missing = [topic.name for topic in TOPICS if full_name(kafka, topic.name) not in existing]
        facts["topics_missing"] = missing
        facts |= await _read_offsets(admin, kafka, existing)
        return _missing(missing), facts
    except (KafkaError, OSError, TimeoutError) as error:
        return _cannot(kafka, error), facts
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING):
                await admin.close()


def _cannot(kafka: Kafka, error: Exception) -> str:
    away = isinstance(error, KafkaConnectionError)
    what = "does not answer" if away else f"cannot be used ({error})"
    return f"Kafka at {kafka.bootstrap_servers} {what}; check that it runs and the settings TAILRACE_KAFKA__..."


def _cluster(described: dict[str, Any]) -> dict[str, Any]:
    brokers = [f"{broker['host']}:{broker['port']}" for broker in described["brokers"]]
    return {"cluster": described["cluster_id"], "brokers": brokers}


def _missing(topics: list[str]) -> str | None:
    if not topics:
        return None
    some = ", ".join(topics[:3]) + (", ..." if len(topics) > 3 else "")
    return f"{len(topics)} of {len(TOPICS)} topics are missing ({some}); run `tailrace migrate`"


Offsets = dict[TopicPartition, int]


async def _read_offsets(admin: AIOKafkaAdminClient, kafka: Kafka, existing: set[str]) -> dict[str, Any]:
    ours = [name for topic in TOPICS if (name := full_name(kafka, topic.name)) in existing]
    if not ours:
        return {"lag": [], "dead_letters": {}}
    described = await admin.describe_topics(ours)
    partitions = [TopicPartition(t["topic"], p["partition"]) for t in described for p in t["partitions"]]
    begin, end = await _ends(kafka, partitions)
    lag = []
    for group, expected in _groups(kafka).items():
        committed = await _committed(admin, group)
        lag += _lag(kafka, group, expected, committed, begin, end)
    return {"lag": lag, "dead_letters": _dead_letters(kafka, begin, end)}


async def _committed(admin: AIOKafkaAdminClient, group: str) -> Offsets:
    """Where the group has got to. A broker that no group has used yet needs a moment to be asked."""
    for _ in range(COORDINATOR_TRIES):
        try:
            found = await admin.list_consumer_group_offsets(group)
            return {partition: known.offset for partition, known in found.items() if known.offset >= 0}
        except GroupCoordinatorNotAvailableError:
            await asyncio.sleep(BETWEEN_TRIES)
    raise KafkaError(f"no coordinator for the group {group}; look at the broker's log")


async def _ends(kafka: Kafka, partitions: list[TopicPartition]) -> tuple[Offsets, Offsets]:
    """First and next offset of each partition."""
    consumer = AIOKafkaConsumer(
        **client_options(kafka), group_id=None, enable_auto_commit=False, request_timeout_ms=4000
    )
    await consumer.start()
    try:
        return await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    finally:
        async with asyncio.timeout(CLOSING):
            await consumer.stop()


def _groups(kafka: Kafka) -> dict[str, set[str]]:
    """Each group, and the topics that it reads even where it has committed nothing."""
    read = {worker_group(kafka): WORKER_TOPICS, trending_group(kafka): TRENDING_TOPICS}
    return {group: {full_name(kafka, topic) for topic in topics} for group, topics in read.items()}


def _lag(
    kafka: Kafka, group: str, expected: set[str], committed: Offsets, begin: Offsets, end: Offsets
) -> list[dict[str, Any]]:
    """Records that a group has not finished, by topic; where it has committed nothing, all that there are."""
    topics: dict[str, int] = {}
    for partition, until in end.items():
        if partition.topic in expected or partition in committed:
            behind = max(0, until - max(committed.get(partition, 0), begin[partition]))
            topics[partition.topic] = topics.get(partition.topic, 0) + behind
    return [
        {"group": group, "topic": logical_name(kafka, topic), "lag": behind} for topic, behind in sorted(topics.items())
    ]


def _dead_letters(kafka: Kafka, begin: Offsets, end: Offsets) -> dict[str, int]:
    """Records in the dead letters of each topic that has any."""
    originals = {full_name(kafka, dead_letter_topic(topic.name)): topic.name for topic in TOPICS}
    counts: dict[str, int] = {}
    for partition, until in end.items():
        if partition.topic in originals and until > begin[partition]:
            name = originals[partition.topic]
            counts[name] = counts.get(name, 0) + until - begin[partition]
    return counts
