"""The router: from a fact to the commands that it causes, on the queues of their tasks."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec
import structlog
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from schemas.commands import Command, command_id
from schemas.topics import QUEUE_BY_NAME
from streams.dead_letter_desk import DeadLetterDesk
from streams.decoding import Event, Undecodable, decode_event
from streams.kafka_client import RenewedProducer, full_name
from streams.records import Delivery
from streams.setting_groups import Kafka
from streams.submission import command_headers
from streams.task import Task
from streams.watermark import Watermark

BATCH = 500
AFTER_ERROR = 1.0
PASSED_ON = ("traceparent", "tracestate")
"""Headers of a fact that its commands carry too."""

Caused = tuple[Delivery, list[tuple[Task, Command]]]

log = structlog.get_logger(__name__)


def commands_of(event: Event, tasks: Iterable[Task]) -> list[tuple[Task, Command]]:
    """What this event causes. The same event gives the same commands, ids included."""
    caused = []
    for task in tasks:
        args = task.args_of(event.fact) if task.args_of else None
        if args is not None:
            command = Command(
                id=command_id(event.identity, task.name),
                task=task.name,
                args=msgspec.to_builtins(args),
                # Of the fact itself: a publisher may send it again with another time in its headers.
                caused_at=event.fact.occurred_at,
                cause=event.identity,
            )
            caused.append((task, command))
    return caused


class Router:
    """Publishes the commands of each fact, and acknowledges the fact when the broker has them all."""

    def __init__(
        self,
        kafka: Kafka,
        tasks: Sequence[Task],
        producer: RenewedProducer,
        desk: DeadLetterDesk,
        watermark: Watermark,
    ) -> None:
        self._kafka = kafka
        self._producer = producer
        self._desk = desk
        self._watermark = watermark
        self._waiting: asyncio.Queue[Delivery] = asyncio.Queue()
        self._tasks: dict[type, list[Task]] = defaultdict(list)
        for task in tasks:
            if task.on is not None:
                self._tasks[task.on].append(task)

    def put(self, delivery: Delivery) -> None:
        """Never waits: the watermark's cap bounds what arrives."""
        self._waiting.put_nowait(delivery)

    async def run(self) -> None:
        """Route what arrives, for ever."""
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < BATCH and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            await self._route([delivery for delivery in batch if delivery.live])

    async def _route(self, batch: Sequence[Delivery]) -> None:
        caused: list[Caused] = []
        for delivery in batch:
            try:
                event = decode_event(delivery.record)
            except Undecodable as error:
                self._desk.take(delivery, str(error), error)
            else:
                caused.append((delivery, commands_of(event, self._tasks[type(event.fact)])))
        refused = dict(await self._publish(caused))
        for delivery, commands in caused:
            if delivery in refused:
                self._desk.take(delivery, refused[delivery])
            else:
                self._watermark.finish(delivery, "done" if commands else "skipped")

    async def _publish(self, caused: Sequence[Caused]) -> list[tuple[Delivery, str]]:
        """Returns when the broker has every command that it can take; the others, with the reason.

        Some may be published again: the ledger knows them.
        """
        while True:
            under_way, refused = [], []
            try:
                for delivery, commands in caused:
                    try:
                        under_way += [await self._send(delivery, task, command) for task, command in commands]
                    except MessageSizeTooLargeError:
                        refused.append((delivery, "its command is too large for a record"))
                await asyncio.gather(*under_way)
            except KafkaError as error:
                log.warning("router waits for the broker", error=repr(error))
                await asyncio.sleep(AFTER_ERROR)
            else:
                return refused

    async def _send(self, delivery: Delivery, task: Task, command: Command) -> asyncio.Future[object]:
        record = delivery.record
        headers = command_headers(task.name, [pair for pair in record.headers if pair[0] in PASSED_ON])
        sent: asyncio.Future[object] = await self._producer.send(
            full_name(self._kafka, QUEUE_BY_NAME[task.queue].topic),
            msgspec.json.encode(command),
            key=record.key,
            headers=headers,
        )
        return sent
