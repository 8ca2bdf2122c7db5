"""Runs that a person orders: one now, or those of the instants of a time that is past."""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.commands import Command, command_id
from schemas.envelope import Identity, rfc3339
from streams.schedules import schedules_sql as sql
from streams.schedules.plan import AT_ONCE
from streams.schedules.schedule import Schedule, WrongSchedule, check_schedule
from streams.schedules.store import clock, find_schedule
from streams.schedules.tick import order_run
from streams.submission import Submission, requeue, submit
from streams.task import Task
from streams.task_arguments import find_task


@dataclass
class Backfilled:
    """What became of the instants, or would in a dry run."""

    submitted: int = 0
    already_run: int = 0
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True)
class _Order:
    """How each run of one backfill is ordered."""

    schedule: Schedule
    queue: str
    now: datetime
    dry_run: bool
    args: dict[str, Any] = field(default_factory=dict)


async def run_now(engine: AsyncEngine, tasks: Iterable[Task], name: str) -> Command:
    """Order one run beside those of its instants. Raises ``UnknownSchedule`` or one of ``REFUSALS``."""
    known = list(tasks)
    async with engine.begin() as connection:
        schedule = await find_schedule(connection, name)
        args = check_schedule(schedule, known)
        cause = Identity(f"schedule:{name}", "run-now", str(uuid.uuid4()))
        command = Command(
            id=command_id(cause, schedule.task),
            task=schedule.task,
            args=args,
            caused_at=await clock(connection),
            cause=cause,
        )
        queue = schedule.queue or find_task(known, schedule.task).queue
        await submit(connection, Submission(command, queue, schedule=name))
    return command


async def backfill(
    engine: AsyncEngine, tasks: Iterable[Task], name: str, begin: datetime, end: datetime, *, dry_run: bool
) -> Backfilled:
    """Run each instant from ``begin`` until before ``end`` that has not run, whatever the policies say.

    An instant has one run, whether the timer ordered it or a backfill: so a backfill can be repeated. Instants that
    are still to come are left to the timer. Raises ``UnknownSchedule`` or one of ``REFUSALS``.
    """
    if end <= begin:
        raise WrongSchedule(f"--to {rfc3339(end)} is not later than --from {rfc3339(begin)}")
    known = list(tasks)
    async with engine.connect() as connection:
        schedule = await find_schedule(connection, name)
        now = await clock(connection)
        ledger_begins = (await connection.execute(sql.LEDGER_BEGINS)).scalar_one()
    if begin < ledger_begins:
        raise WrongSchedule(f"the ledger begins at {rfc3339(ledger_begins)}: choose --from no earlier")
    args = check_schedule(schedule, known)
    queue = schedule.queue or find_task(known, schedule.task).queue
    order, found = _Order(schedule, queue, now, dry_run, args), Backfilled()
    instants = takewhile(
        lambda instant: instant < end and instant <= now, schedule.timing().after(begin - timedelta(microseconds=1))
    )
    for batch in _batches(instants):
        async with engine.begin() as connection:
            await _backfill(connection, order, batch, found)
    return found


def _batches(instants: Iterator[datetime]) -> Iterator[list[datetime]]:
    while batch := list(islice(instants, AT_ONCE)):
        yield batch


async def _backfill(connection: AsyncConnection, order: _Order, instants: list[datetime], found: Backfilled) -> None:
    commands = [order.schedule.command(instant, order.args) for instant in instants]
    asked = {"ids": [c.id for c in commands], "caused_at": [c.caused_at for c in commands]}
    known = {row.id: row.passed_over for row in await connection.execute(sql.KNOWN, asked)}
    for command in commands:
        if await _ordered(connection, order, command, known.get(command.id)):
            found.submitted += 1
        else:
            found.already_run += 1
    found.first, found.last = found.first or instants[0], instants[-1]


async def _ordered(connection: AsyncConnection, order: _Order, command: Command, passed_over: bool | None) -> bool:
    """Whether it is (or would be) run by this; ``passed_over`` is None where the ledger does not know it."""
    if order.dry_run or passed_over is False:
        return passed_over is not False
    if passed_over is None:
        return await order_run(connection, order.schedule, command, order.queue, order.now)
    run = await requeue(connection, command.id, command.caused_at, states=("skipped",), queue=order.queue)
    return run is not None
