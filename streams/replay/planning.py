"""Count what a replay would do, before anything of it is done."""

import asyncio
import gc
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from aiokafka import AIOKafkaConsumer
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.claims import Months
from streams.db import autocommit
from streams.ledger_sql import MAKE_ROOM, MONTHS
from streams.partition_spans import reading_client
from streams.replay.fates import SUBMITTED, Counts, Judge, Judged, Order
from streams.replay.mail_preview import Mails
from streams.replay.reading import Reading
from streams.replay.request import Request, Selection, WrongReplay, parse_bound, understand
from streams.replay.shadow.scratch import find_tables
from streams.replay.stretches import Gap, Stretch, find_stretches
from streams.settings import Settings
from streams.task import Task

AT_ONCE = 1000
SELDOM = 100_000
"""Objects that are made between two looks for garbage."""


@dataclass
class Plan:
    """What was found, and what would be done. ``mails``: those that would go out. ``ledger_begins``: what was caused
    before is too old, and ``oldest`` the earliest of that.
    """

    selection: Selection
    stretches: list[Stretch]
    gaps: list[Gap]
    counts: Counts = field(default_factory=Counts)
    mails: Mails = field(default_factory=Mails)
    ledger_begins: datetime | None = None
    oldest: datetime | None = None

    @property
    def submitted(self) -> int:
        """Commands that would be put on their queues."""
        return self.counts.total(*SUBMITTED)


async def plan_replay(
    settings: Settings, engine: AsyncEngine, tasks: Iterable[Task], request: Request, now: datetime
) -> Plan:
    """Read the whole of it and ask the ledger for each command. Raises ``WrongReplay``; nothing is changed."""
    start, end = parse_bound("--from", request.start, now), parse_bound("--to", request.end, now)
    since, until = (bound if isinstance(bound, datetime) else None for bound in (start, end))
    if since and until and since >= until:
        raise WrongReplay(f"--from {since.isoformat()} is not earlier than --to {until.isoformat()}")
    selection = understand(request, tasks, since, until)
    await find_tables(engine, request.tables)
    async with reading_client(settings.kafka) as consumer, autocommit(engine) as connection:
        stretches, gaps = await find_stretches(settings.kafka, consumer, request, start, end)
        plan = Plan(selection, stretches, gaps)
        await _count(settings, consumer, connection, plan)
        await plan.mails.look_up(connection, settings)
    return plan


async def _count(settings: Settings, consumer: AIOKafkaConsumer, connection: AsyncConnection, plan: Plan) -> None:
    months = await read_months(connection)
    judge = Judge(plan.selection, months, sys.maxsize if plan.selection.request.send_mail else 0)
    reading = Reading(settings.kafka, consumer, plan.selection.request.topic)
    asking: asyncio.Task[Judged] | None = None
    with few_collections():
        async for chunk in reading.chunks(plan.stretches, AT_ONCE):
            decoded = judge.decode(chunk.records)  # while the database works on the chunk before
            if asking:
                _note(plan, await asking)
            asking = asyncio.create_task(judge.ask(connection, decoded))
            plan.gaps += chunk.gaps
        if asking:
            _note(plan, await asking)
    plan.ledger_begins, plan.oldest = months.first, judge.oldest


def _note(plan: Plan, judged: Judged) -> None:
    plan.counts.add(judged.count(0, len(judged.marks)))
    plan.mails.note(_submitted(judged.orders))


@contextmanager
def few_collections() -> Iterator[None]:
    """Look for cyclic garbage seldom: events make none, and looking would take as long as the work itself."""
    before = gc.get_threshold()
    gc.set_threshold(SELDOM, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _submitted(orders: Sequence[Order]) -> list[Order]:
    return [order for order in orders if order.fate in SUBMITTED and order.task.sends_mail]


async def read_months(connection: AsyncConnection) -> Months:
    """The time that the ledger remembers."""
    await connection.execute(MAKE_ROOM)
    row = (await connection.execute(MONTHS)).one()
    return Months(row.first, row.last)
