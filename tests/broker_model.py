"""A broker in memory: logs by topic and partition, and the offsets that a consumer group has committed."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import cast

from aiokafka import AIOKafkaProducer
from aiokafka.errors import RequestTimedOutError

from schemas.envelope import Headers
from streams.records import Record
from streams.watermark import Place
from tests.crash_points import Point
from tests.crash_process import Process

PARTITIONS = 2


class Broker:
    """Appends, never forgets, and hands out each record from a committed offset on: at least once."""

    def __init__(self) -> None:
        self.logs: dict[Place, list[Record]] = defaultdict(list)
        self.committed: dict[Place, int] = defaultdict(int)
        self._owners: dict[int, Process] = {}

    def append(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Headers, timestamp: int, partition: int
    ) -> None:
        log = self.logs[topic, partition]
        log.append(Record(topic, partition, len(log), key, value, headers, timestamp))

    def assign(self, partition: int, process: Process) -> None:
        """The partition of every topic is this process's, and of nobody else any more."""
        self._owners[partition] = process

    def owns(self, partition: int, process: Process) -> bool:
        return self._owners.get(partition) is process

    def commit(self, process: Process, offsets: Mapping[Place, int]) -> None:
        """Of partitions that are the process's; a fenced member's offsets are refused."""
        for place, offset in offsets.items():
            if self.owns(place[1], process):
                self.committed[place] = offset

    def uncommitted(self, topics: Iterable[str]) -> list[Record]:
        """What would be delivered again if every consumer were lost now."""
        places = [(topic, partition) for topic in topics for partition in range(PARTITIONS)]
        return [record for place in places for record in self.logs[place][self.committed[place] :]]


class ModelProducer:
    """What relay and dead letters use of a producer. The broker has a record before the producer hears of it."""

    def __init__(self, broker: Broker, process: Process, before: Point, sent: Point) -> None:
        self._broker = broker
        self._process = process
        self._before = before
        self._sent = sent
        self.client = SimpleNamespace(cluster=SimpleNamespace(partitions_for_topic=lambda _: set(range(PARTITIONS))))
        """Its metadata: every topic is there."""

    @classmethod
    def of(cls, broker: Broker, process: Process, before: Point, sent: Point) -> AIOKafkaProducer:
        return cast(AIOKafkaProducer, cls(broker, process, before, sent))

    async def send(
        self, topic: str, value: bytes | None, *, key: bytes | None, headers: Headers, timestamp_ms: int
    ) -> asyncio.Future[None]:
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        partition = sum(key or b"") % PARTITIONS
        try:
            await self._process.reach(self._before)
            self._broker.append(topic, value, key, headers, timestamp_ms, partition)
            await self._process.reach(self._sent)
        except ConnectionResetError:
            acknowledged.set_exception(RequestTimedOutError())
        else:
            acknowledged.set_result(None)
        return acknowledged
