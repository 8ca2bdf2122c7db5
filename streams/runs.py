"""A run: one attempt of one command, with all that is known of it in this process."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import msgspec

from schemas.commands import Command
from schemas.topics import QUEUE_BY_TOPIC
from streams.claims import Claim, Order
from streams.outbox import OutboxRow
from streams.records import Delivery
from streams.task import Task


@dataclass(frozen=True)
class Received:
    """A command that was decoded, and the task that it names."""

    delivery: Delivery
    command: Command
    task: Task

    @cached_property
    def order(self) -> Order:
        record = self.delivery.record
        limit = self.task.concurrency.limit if self.task.concurrency else 1
        queue = QUEUE_BY_TOPIC[record.topic].name
        return Order(self.command, queue, record.published_at, record.key, self._concurrency_key(), limit)

    def _concurrency_key(self) -> str | None:
        """None also where the arguments are wrong: the run will say so."""
        if self.task.concurrency is None:
            return None
        try:
            return self.task.concurrency.key(msgspec.convert(self.command.args, self.task.args_type))
        except msgspec.ValidationError:
            return None


@dataclass(eq=False)
class Run:
    """A command that this worker has claimed. ``started_at`` is None while it waits for its turn here.

    ``performed``: it has only to be recorded. ``left_to_ledger``: it takes so long that its offset was acknowledged;
    ledger and sweeper answer for it.
    """

    received: Received
    claim: Claim
    started_at: datetime | None = None
    performed: bool = False
    left_to_ledger: bool = False

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
