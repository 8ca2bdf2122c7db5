"""Queues are trimmed below what the workers have committed, on real Kafka."""

from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.db import direct_connection
from streams.kafka_client import client_options, full_name, producer_for, worker_group
from streams.metrics import Metrics
from streams.partition_spans import Span, admin_client, partition_spans, reading_client
from streams.settings import Settings
from streams.topics import create_topics
from streams.trimming import TRY_LOCK, trim
from tests.waiting import eventually

TOPICS = ("queue.emails", "user.created", "queue.emails.dlq")


async def fill(settings: Settings, counts: Mapping[tuple[str, int], int]) -> None:
    """So many records in each partition."""
    await create_topics(settings)
    producer = producer_for(settings.kafka, linger_ms=20)
    await producer.start()
    for (topic, partition), count in counts.items():
        for number in range(count):
            await producer.send(full_name(settings.kafka, topic), b"%d" % number, partition=partition)
    await producer.stop()


async def commit(settings: Settings, offsets: Mapping[tuple[str, int], int]) -> None:
    """As the workers' group."""
    group = worker_group(settings.kafka)
    consumer = AIOKafkaConsumer(**client_options(settings.kafka), group_id=group, enable_auto_commit=False)
    await consumer.start()
    wanted = {TopicPartition(full_name(settings.kafka, topic), number): at for (topic, number), at in offsets.items()}
    consumer.assign(list(wanted))
    await consumer.commit(wanted)
    await consumer.stop()


async def spans(settings: Settings) -> dict[tuple[str, int], Span]:
    """What each partition holds."""
    async with admin_client(settings.kafka) as admin, reading_client(settings.kafka) as consumer:
        found = await partition_spans(admin, consumer, [full_name(settings.kafka, topic) for topic in TOPICS])
    return {(here.topic.removeprefix(settings.kafka.topic_prefix), here.partition): at for here, at in found.items()}


async def test_what_every_worker_is_done_with_goes_and_nothing_else(settings: Settings) -> None:
    full = {("queue.emails", 0): 1500, ("queue.emails", 1): 1500, ("queue.emails", 2): 1500}
    await fill(settings, {**full, ("user.created", 0): 1500, ("queue.emails.dlq", 0): 1500})
    await commit(settings, {("queue.emails", 0): 1200, ("queue.emails", 1): 999, ("user.created", 0): 1500})
    metrics = Metrics()

    trimmed = await trim(settings, metrics)
    again = await trim(settings, metrics)

    left = await spans(settings)
    assert (trimmed, again) == (1200, 0)
    assert left["queue.emails", 0] == Span(1200, 1500)
    assert left["queue.emails", 1] == left["queue.emails", 2] == Span(0, 1500)
    assert left["user.created", 0] == left["queue.emails.dlq", 0] == Span(0, 1500)
    assert metrics.registry.get_sample_value("tailrace_trimmed_total", {"topic": "queue.emails"}) == 1200


async def test_a_commit_of_an_earlier_topic_of_the_same_name_deletes_nothing(settings: Settings) -> None:
    await fill(settings, {("queue.emails", 0): 10})
    await commit(settings, {("queue.emails", 0): 5000})

    assert await trim(settings, Metrics()) == 0
    assert (await spans(settings))["queue.emails", 0] == Span(0, 10)


async def test_one_worker_trims_at_a_time(settings: Settings) -> None:
    await fill(settings, {("queue.emails", 0): 1000})
    await commit(settings, {("queue.emails", 0): 1000})

    async with direct_connection(settings.database) as other:
        assert await other.fetchval(TRY_LOCK)
        meanwhile = await trim(settings, Metrics())
        untouched = (await spans(settings))["queue.emails", 0]

    assert (meanwhile, untouched) == (0, Span(0, 1000))
    assert await eventually(lambda: trim(settings, Metrics()), what="its lock is free") == 1000
