"""One tick: the instants of one schedule that are due become runs, or are recorded as skipped, in one transaction."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.commands import Command
from schemas.envelope import rfc3339
from streams.db import is_passing
from streams.schedules import schedules_sql as sql
from streams.schedules.plan import Due, plan
from streams.schedules.schedule import REFUSALS, Schedule, check_schedule
from streams.schedules.store import schedule_of
from streams.submission import Submission, submit
from streams.task import Task

log = structlog.get_logger(__name__)


class TickFailed(Exception):
    """The schedule of this name cannot be dealt with now; the others can. Nothing of the tick has been kept."""

    def __init__(self, schedule: str, problem: str) -> None:
        super().__init__(problem)
        self.schedule = schedule


@dataclass(frozen=True)
class Ticked:
    """What one tick did: instants by ``run`` and ``skipped``; ``more`` where further instants are due."""

    schedule: str
    counts: Mapping[str, int]
    more: bool


async def tick(
    engine: AsyncEngine, tasks: Mapping[str, Task], grace: timedelta, dealt_with: Collection[str]
) -> Ticked | None:
    """Deal with the schedule that has been due for longest, of those that nobody has in hand and that are not in
    ``dealt_with``; None where there is none.

    All or nothing, by the database's clock. Raises ``TickFailed`` where the schedule is at fault.
    """
    async with engine.begin() as connection:
        row = (await connection.execute(sql.CLAIM, {"tasks": list(tasks), "dealt_with": list(dealt_with)})).first()
        if row is None:
            return None
        try:
            return await _deal_with(connection, schedule_of(row), tasks[row.task], row.now, grace)
        except Exception as error:
            if is_passing(error):
                raise
            known = str(error) if isinstance(error, REFUSALS) else repr(error)
            raise TickFailed(row.name, known) from error


async def _deal_with(
    connection: AsyncConnection, found: Schedule, task: Task, now: datetime, grace: timedelta
) -> Ticked:
    args = check_schedule(found, [task])
    queue = found.queue or task.queue
    schedule = await _within_the_ledger(connection, found)
    open_since = (await connection.execute(sql.OPEN_SINCE, {"name": schedule.name})).scalar_one()
    planned = plan(schedule, now, grace, open_since)
    await _record_skipped(connection, schedule, queue, args, [due for due in planned.dues if due.skipped])
    last_at, last_run = None, None
    for due in planned.dues:
        if due.skipped is None:
            command = schedule.command(due.instant, args)
            await order_run(connection, schedule, command, queue, now)
            last_at, last_run = due.instant, command.id
    moved = {"name": schedule.name, "next_at": planned.next_at, "last_at": last_at, "last_run": last_run}
    await connection.execute(sql.ADVANCE, moved)
    counts = Counter("skipped" if due.skipped else "run" for due in planned.dues)
    return Ticked(schedule.name, counts, planned.more)


async def order_run(
    connection: AsyncConnection, schedule: Schedule, command: Command, queue: str, now: datetime
) -> bool:
    """Put the run of an instant on its queue; whether the instant had none yet."""
    start = schedule.delayed(command.id, command.caused_at)
    due_at = start if start > now else None
    return await submit(connection, Submission(command, queue, due_at=due_at, schedule=schedule.name))


async def _within_the_ledger(connection: AsyncConnection, schedule: Schedule) -> Schedule:
    """The schedule at its first instant that can be recorded. Those before it are passed over."""
    begins: datetime = (await connection.execute(sql.LEDGER_BEGINS)).scalar_one()
    if schedule.next_at is None or schedule.next_at >= begins:
        return schedule
    following = next(schedule.timing().after(begins - timedelta(microseconds=1)), None)
    log.warning(
        "passed over instants that are older than the ledger",
        schedule=schedule.name,
        first=rfc3339(schedule.next_at),
        ledger_begins=rfc3339(begins),
    )
    return replace(schedule, next_at=following)


async def _record_skipped(
    connection: AsyncConnection, schedule: Schedule, queue: str, args: dict[str, Any], dues: list[Due]
) -> None:
    if not dues:
        return
    commands = [schedule.command(due.instant, args) for due in dues]
    await connection.execute(
        sql.RECORD_SKIPPED,
        {
            "ids": [command.id for command in commands],
            "caused_at": [command.caused_at for command in commands],
            "reasons": [due.skipped for due in dues],
            "causes": [msgspec.json.encode(command.cause).decode() for command in commands],
            "task": schedule.task,
            "queue": queue,
            "args": msgspec.json.encode(args).decode(),
            "schedule": schedule.name,
        },
    )
