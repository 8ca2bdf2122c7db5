"""A run: one attempt of one command, with all that is known of it in this process."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from schemas.commands import Command
from schemas.topics import QUEUE_BY_TOPIC
from streams.ledger import Claim, Order
from streams.outbox import OutboxRow
from streams.records import Delivery
from streams.task import Task


@dataclass(frozen=True)
class Received:
    """A command that was decoded, and the task that it names."""

    delivery: Delivery
    command: Command
    task: Task

    @property
    def order(self) -> Order:
        record = self.delivery.record
        return Order(self.command, QUEUE_BY_TOPIC[record.topic].name, record.published_at, record.key)


@dataclass(frozen=True)
class Run:
    """A command that this worker has claimed."""

    received: Received
    claim: Claim
    started_at: datetime

    @property
    def command(self) -> Command:
        return self.received.command

    @property
    def task(self) -> Task:
        return self.received.task


def copy_of(delivery: Delivery, command: Command, *, dedupe_key: str) -> OutboxRow:
    """The command once more on its queue, as an outbox row without a time yet."""
    record = delivery.record
    return OutboxRow(
        topic=record.topic,
        key=record.key,
        payload=msgspec.json.encode(command),
        headers=record.headers,
        occurred_at=record.published_at,
        dedupe_key=dedupe_key,
    )
