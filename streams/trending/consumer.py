"""The counter's Kafka consumer, and how to know that it is stuck."""

import time
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from schemas.topics import TRENDING_TOPICS
from streams.kafka_client import client_options, full_name, trending_group
from streams.setting_groups import Kafka

SILENT_AFTER = 20.0


def trending_consumer(kafka: Kafka, listener: ConsumerRebalanceListener) -> AIOKafkaConsumer:
    """A consumer of every topic that counts, not started yet. Its group decides who counts what, and no more."""
    consumer = AIOKafkaConsumer(
        **client_options(kafka),
        group_id=trending_group(kafka),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=6000,
        heartbeat_interval_ms=2000,
        max_partition_fetch_bytes=4 << 20,
        fetch_max_bytes=64 << 20,
    )
    consumer.subscribe([full_name(kafka, topic) for topic in TRENDING_TOPICS], listener=listener)
    return consumer


def require_answers(consumer: AIOKafkaConsumer, opened_at: Mapping[TopicPartition, float]) -> None:
    """Raises ``KafkaError`` where no fetch of a partition, opened at that time, has been answered for long.

    aiokafka can stay stuck after a broker's restart without an error (its issue 1154); a new consumer helps.
    """
    for partition, opened in opened_at.items():
        answered = (consumer.last_poll_timestamp(partition) or 0) / 1000
        silent = time.time() - max(answered, opened)
        if silent > SILENT_AFTER and partition not in consumer.paused():
            raise KafkaError(f"no fetch of {partition.topic}:{partition.partition} was answered for {silent:.0f} s")
