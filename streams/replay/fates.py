"""What becomes of each command of an event in a replay: the ledger is asked for many at once."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec
from aiokafka import ConsumerRecord
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.commands import Command, command_id
from schemas.envelope import Identity, identify
from schemas.events import FACTS
from streams.claims import Months
from streams.decoding import Undecodable, decode_value
from streams.replay import replay_sql as sql
from streams.replay.request import Selection
from streams.task import Task

Fate = Literal["missing", "again", "done", "under_way", "dead", "mail", "too_old", "repeated"]
"""``missing`` and ``again`` are submitted; ``mail`` would be, if mail were asked for; the others are left alone."""

SUBMITTED = ("missing", "again")

REMEMBERED = 50_000
"""Commands that are remembered, so that a repeated event is counted once; the ledger knows it in any case."""


class Counts(msgspec.Struct):
    """How many events were read, were meant and could not be decoded; and of each task, its commands by fate."""

    read: int = 0
    events: int = 0
    undecodable: int = 0
    tasks: dict[str, dict[str, int]] = {}

    def note(self, task: str, fate: str, count: int = 1) -> None:
        of_task = self.tasks.setdefault(task, {})
        of_task[fate] = of_task.get(fate, 0) + count

    def add(self, more: "Counts") -> None:
        """Count these too."""
        self.read += more.read
        self.events += more.events
        self.undecodable += more.undecodable
        for task, fates in more.tasks.items():
            for fate, count in fates.items():
                self.note(task, fate, count)

    def total(self, *fates: str) -> int:
        """Of all tasks; without fates, every command."""
        found = [pair for of_task in self.tasks.values() for pair in of_task.items()]
        return sum(count for fate, count in found if not fates or fate in fates)


@dataclass(slots=True)
class Order:
    """What an event causes: the arguments for a task, as the router would make them."""

    place: int
    record: ConsumerRecord
    caused_at: datetime
    cause: Identity
    task: Task
    args: Any
    id: uuid.UUID
    fate: Fate = "missing"

    def command(self, generation: int) -> Command:
        """The order itself; a redo has another generation, and so another id."""
        return Command(
            id=self.id if not generation else command_id(self.cause, self.task.name, generation),
            task=self.task.name,
            args=msgspec.to_builtins(self.args),
            caused_at=self.caused_at,
            cause=self.cause,
            generation=generation,
        )


MEANT, UNDECODABLE = 1, 2


@dataclass
class Judged:
    """A chunk's orders, by the places of their records, and which of the records were meant."""

    marks: bytearray
    orders: list[Order] = field(default_factory=list)

    def count(self, begin: int, end: int) -> Counts:
        """What was found at these places."""
        marks = self.marks[begin:end]
        counts = Counts(end - begin, marks.count(MEANT), marks.count(UNDECODABLE))
        for order in self.orders:
            if begin <= order.place < end:
                counts.note(order.task.name, order.fate)
        return counts


class Judge:
    """Tells the fate of each order of one replay. ``months``: the time that the ledger remembers; ``mails``: how many
    more may go out.
    """

    def __init__(self, selection: Selection, months: Months, mails: int) -> None:
        self._selection = selection
        self._months = months
        self._mails = mails
        request = selection.request
        self._done: Fate = "again" if request.mode == "redo" else "done"
        self._dead: Fate = "again" if request.dead or request.mode == "redo" else "dead"
        self._latest: set[uuid.UUID] = set()
        self._before: set[uuid.UUID] = set()
        self.oldest: datetime | None = None
        """The earliest cause that the ledger does not remember."""

    async def judge(self, connection: AsyncConnection, records: Sequence[ConsumerRecord]) -> Judged:
        """What these records cause, each with its fate."""
        return await self.ask(connection, self.decode(records))

    def decode(self, records: Sequence[ConsumerRecord]) -> Judged:
        """What these records cause; their fates are not known yet."""
        judged = Judged(bytearray(len(records)))
        judged.orders = list(self._orders(records, judged.marks))
        return judged

    async def ask(self, connection: AsyncConnection, judged: Judged) -> Judged:
        """The same with their fates. Chunks are asked for in order, one at a time."""
        await self._ask(connection, [order for order in judged.orders if self._is_remembered(order)])
        for order in judged.orders:
            if order.fate in SUBMITTED:
                order.fate = self._fate_of_submitted(order)
        return judged

    def _fate_of_submitted(self, order: Order) -> Fate:
        if order.id in self._latest or order.id in self._before:
            return "repeated"
        if len(self._latest) >= REMEMBERED:
            self._before, self._latest = self._latest, set()
        self._latest.add(order.id)
        if order.task.sends_mail:
            if self._mails <= 0:
                return "mail"
            self._mails -= 1
        return order.fate

    def _orders(self, records: Sequence[ConsumerRecord], marks: bytearray) -> Iterator[Order]:
        wants, where, tasks = self._selection.wants_record, self._selection.where, self._selection.tasks
        event_type = self._selection.event_type
        schema = FACTS[event_type]
        for place, record in enumerate(records):
            if not wants(record):
                continue
            try:
                fact = decode_value(record.value, event_type, schema)
            except Undecodable:
                marks[place] = UNDECODABLE
                continue
            if where is not None and not where(fact):
                continue
            marks[place] = MEANT
            identity = identify(record.headers, event_type, record.partition, record.offset)
            for task in tasks:
                args = task.args_of(fact) if task.args_of else None
                if args is not None:
                    run_id = command_id(identity, task.name)
                    yield Order(place, record, fact.occurred_at, identity, task, args, run_id)

    def _is_remembered(self, order: Order) -> bool:
        if self._months.first <= order.caused_at < self._months.last:
            return True
        order.fate = "too_old"
        if order.caused_at < self._months.first:
            self.oldest = min(self.oldest or order.caused_at, order.caused_at)
        return False

    async def _ask(self, connection: AsyncConnection, orders: Sequence[Order]) -> None:
        if not orders:
            return
        times = [order.caused_at for order in orders]
        keys = {"ids": [order.id for order in orders], "caused_at": times, "first": min(times), "last": max(times)}
        found = await connection.execute(sql.NOT_DONE, {**keys, "replay": self._selection.replay})
        rows = {row.place: row for row in found}
        known: dict[str | None, Fate] = {None: "missing", "dead": self._dead, "cancelled": self._dead}
        for place, order in enumerate(orders):
            row = rows.get(place)
            if row is None:
                order.fate = self._done
            else:
                # What this replay has submitted before, perhaps by a reader that was killed, is a repeat of the event.
                order.fate = "repeated" if row.is_own else known.get(row.state, "under_way")
