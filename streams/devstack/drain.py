"""What is left to do of what the sample backend emitted, and waiting until nothing is."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.topics import TOPIC_BY_NAME
from streams.devstack import up_sql
from streams.devstack.news import MAIL, PHOTO
from streams.devstack.sample.traffic import Emitted
from streams.kafka_client import client_options, full_name
from streams.setting_groups import Kafka

COUNTED_TOPICS = ("post.uploaded", "post.tagged")
POLL = timedelta(milliseconds=250)


@dataclass(frozen=True)
class Left:
    """How much is undone; a run that is parked for its retry is not."""

    unsent: int
    set_aside: int
    open_runs: int
    users_without_run: int
    pictures_without_run: int
    uncounted: int

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    def __str__(self) -> str:
        parts = ((getattr(self, field.name), field.name.replace("_", " ")) for field in fields(self))
        return ", ".join(f"{count} {name}" for count, name in parts if count) or "nothing"


async def drained(
    engine: AsyncEngine,
    kafka: Kafka,
    emitted: Emitted,
    since: datetime,
    deadline: timedelta,
    tell: Callable[[Left], None],
) -> Left:
    """Wait until nothing is left, at most ``deadline``; what is left then. ``since`` is before the first event."""
    end = time.monotonic() + deadline.total_seconds()
    ends = await _log_ends(kafka)
    while True:
        async with engine.connect() as connection:
            left = await _left(connection, emitted, since, ends)
        if not left or time.monotonic() > end:
            return left
        tell(left)
        await asyncio.sleep(POLL.total_seconds())
        ends = await _log_ends(kafka)


async def _left(connection: AsyncConnection, emitted: Emitted, since: datetime, log_ends: int) -> Left:
    unsent = (await connection.execute(up_sql.UNSENT, {"since": since})).one()
    counted = (await connection.execute(up_sql.COUNTED)).scalar_one()
    return Left(
        unsent=unsent.due,
        set_aside=unsent.set_aside,
        open_runs=(await connection.execute(up_sql.OPEN_RUNS)).scalar_one(),
        users_without_run=await _unsettled(connection, MAIL, "user_id", emitted.users, since),
        pictures_without_run=await _unsettled(connection, PHOTO, "post_id", emitted.pictured, since),
        uncounted=max(0, log_ends - int(counted)),
    )


async def _unsettled(connection: AsyncConnection, task: str, argument: str, ids: list[int], since: datetime) -> int:
    parameters = {"task": task, "argument": argument, "since": since}
    settled = set((await connection.execute(up_sql.SETTLED, parameters)).scalars())
    return sum(str(one) not in settled for one in ids)


async def _log_ends(kafka: Kafka) -> int:
    """The sum of the ends of the topics that are counted."""
    consumer = AIOKafkaConsumer(**client_options(kafka), enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [
            TopicPartition(full_name(kafka, name), number)
            for name in COUNTED_TOPICS
            for number in range(TOPIC_BY_NAME[name].partitions)
        ]
        return sum((await consumer.end_offsets(partitions)).values())
    finally:
        await consumer.stop()
