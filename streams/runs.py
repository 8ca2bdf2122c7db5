"""A run: one attempt of one command, with all that is known of it in this process."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

import msgspec

from schemas.commands import Command
from schemas.topics import QUEUE_BY_TOPIC
from streams.claims import Claim, Order
from streams.outbox import OutboxRow
from streams.records import Delivery
from streams.task import Task

LONGEST_KEY = 200
"""Characters of a concurrency key that stand in the ledger; what is longer is told apart by its hash."""


@dataclass(frozen=True)
class Received:
    """A command that was decoded, the task that it names, and what the ledger is asked for it."""

    delivery: Delivery
    command: Command
    task: Task
    order: Order

    @classmethod
    def of(cls, delivery: Delivery, command: Command, task: Task) -> "Received":
        """The order follows from the others."""
        record = delivery.record
        queue = QUEUE_BY_TOPIC[record.topic].name
        limit = task.concurrency.limit if task.concurrency else 1
        order = Order(command, queue, record.published_at, record.key, _concurrency_key(command, task), limit)
        return cls(delivery, command, task, order)


def _concurrency_key(command: Command, task: Task) -> str | None:
    """None also where the arguments are wrong: the run will say so. Raises what the task's own function raises."""
    if task.concurrency is None:
        return None
    try:
        args = msgspec.convert(command.args, task.args_type)
    except msgspec.ValidationError:
        return None
    key = task.concurrency.key(args)
    if not isinstance(key, str):
        raise TypeError(f"{task.name}: the concurrency key must be a text, not {key!r}")
    return key if len(key) <= LONGEST_KEY else key[:LONGEST_KEY] + hashlib.sha256(key.encode()).hexdigest()


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
