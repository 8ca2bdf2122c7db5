"""Delete from the queues what every worker is done with: they keep for ever, so nothing else does."""

from collections.abc import Mapping

import structlog
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from schemas.topics import QUEUES
from streams.db import direct_connection
from streams.kafka_client import full_name, logical_name, worker_group
from streams.metrics import Metrics
from streams.partition_spans import Spans, admin_client, partition_spans, reading_client
from streams.setting_groups import Kafka
from streams.settings import Settings

AT_LEAST = 1_000
"""Records of a partition that are worth a request."""

# One worker trims at a time; the lock goes with the connection.
TRY_LOCK = "SELECT pg_try_advisory_lock(hashtext('tailrace.trimming'))"

log = structlog.get_logger(__name__)


async def trim(settings: Settings, metrics: Metrics) -> int:
    """Delete the records of the queues that lie below the workers' committed offsets; how many those were.

    Facts and dead letters are never touched, nor is a partition without a commit, nor one of which fewer than
    ``AT_LEAST`` records would go. Does nothing while another worker trims. Raises what broker or database raise.
    """
    async with direct_connection(settings.database) as connection:
        if not await connection.fetchval(TRY_LOCK):
            return 0
        return await _trim(settings.kafka, metrics)


async def _trim(kafka: Kafka, metrics: Metrics) -> int:
    async with admin_client(kafka) as admin, reading_client(kafka) as consumer:
        found = await admin.list_consumer_group_offsets(worker_group(kafka))
        committed = {partition: known.offset for partition, known in found.items()}
        spans = await partition_spans(admin, consumer, [full_name(kafka, queue.topic) for queue in QUEUES])
        wanted = done_with(spans, committed)
        begins = await delete_below(admin, wanted)
    total = 0
    for partition, begin in begins.items():
        deleted = begin - spans[partition].begin
        metrics.trimmed.labels(logical_name(kafka, partition.topic)).inc(deleted)
        log.info("queue trimmed", topic=partition.topic, partition=partition.partition, deleted=deleted, begin=begin)
        total += deleted
    return total


def done_with(spans: Spans, committed: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """The offset of each partition below which its records may go, where it is worth it.

    A commit beyond the end is of an earlier topic of this name: it says nothing of these records.
    """
    return {
        partition: offset
        for partition, span in spans.items()
        if (offset := committed.get(partition, -1)) - span.begin >= AT_LEAST and offset <= span.end
    }


async def delete_below(admin: AIOKafkaAdminClient, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Delete the records below these offsets; where each partition begins now. Raises ``KafkaError``."""
    if not offsets:
        return {}
    wanted = {partition: RecordsToDelete(before_offset=offset) for partition, offset in offsets.items()}
    begins: dict[TopicPartition, int] = await admin.delete_records(wanted)
    return begins
