"""Commands for Tailrace, put on the queue's topic directly: `python -m benchmarks.dispatch_publish TASK COUNT RATE`."""

import asyncio
import sys
import time
import uuid
from datetime import UTC, datetime

import msgspec
import uvloop
from aiokafka import AIOKafkaProducer

from benchmarks.dispatch_tasks import QUEUE
from schemas.commands import Command, command_id
from schemas.envelope import Identity
from schemas.topics import QUEUE_BY_NAME, TOPIC_BY_NAME
from streams.kafka_client import full_name, producer_for
from streams.setting_groups import Kafka
from streams.settings import Settings
from streams.submission import command_headers

TOPIC = TOPIC_BY_NAME[QUEUE_BY_NAME[QUEUE].topic]


def command_value(task: str, run: str, number: int) -> bytes:
    """The command as it travels; ``run`` makes it another one than those of earlier runs."""
    published = time.time()
    cause = Identity("/benchmark", run, str(number))
    args = {"number": number, "published": published}
    at = datetime.fromtimestamp(published, UTC)
    return msgspec.json.encode(Command(id=command_id(cause, task), task=task, args=args, caused_at=at, cause=cause))


async def publish_backlog(kafka: Kafka, task: str, count: int) -> None:
    """In batches, evenly over the partitions; all acknowledged on return."""
    producer, run = producer_for(kafka), uuid.uuid4().hex
    await producer.start()
    try:
        for partition in range(TOPIC.partitions):
            values = [command_value(task, run, number) for number in range(partition, count, TOPIC.partitions)]
            await _send_all(producer, full_name(kafka, TOPIC.name), partition, task, values)
    finally:
        await producer.stop()


async def _send_all(producer: AIOKafkaProducer, topic: str, partition: int, task: str, values: list[bytes]) -> None:
    headers, batch, sent = command_headers(task), producer.create_batch(), []
    for value in values:
        if batch.append(key=None, value=value, timestamp=None, headers=headers) is None:
            sent.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(key=None, value=value, timestamp=None, headers=headers)
    if batch.record_count():
        sent.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*sent)


async def trickle(kafka: Kafka, task: str, count: int, rate: float) -> None:
    """One by one, ``rate`` a second."""
    producer, run, headers = producer_for(kafka), uuid.uuid4().hex, command_headers(task)
    topic = full_name(kafka, TOPIC.name)
    await producer.start()
    await producer.partitions_for(topic)
    began, sent = time.perf_counter(), []
    try:
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            value = command_value(task, run, number)
            sent.append(await producer.send(topic, value, partition=number % TOPIC.partitions, headers=headers))
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


if __name__ == "__main__":
    uvloop.run(trickle(Settings.load().kafka, sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
