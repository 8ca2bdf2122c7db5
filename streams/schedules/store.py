"""Schedules as people keep them: read, create, edit, switch on and off, delete."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.envelope import rfc3339
from streams.schedules import schedules_sql as sql
from streams.schedules.schedule import Schedule, WrongSchedule, check_schedule
from streams.schedules.timing import TimingError
from streams.task import Task

FIELDS = tuple(field.name for field in fields(Schedule))
KINDS = ("cron", "every", "at")
TIMES = (*KINDS, "zone", "starts_at")
"""What moves the instants."""


class UnknownSchedule(Exception):
    """No schedule has this name; the message names the nearest."""


def schedule_of(row: Any) -> Schedule:
    """A row as it is stored; nothing of it is checked."""
    return Schedule(**{name: getattr(row, name) for name in FIELDS})


async def clock(connection: AsyncConnection) -> datetime:
    """The time by the database, which all schedules go by."""
    now: datetime = (await connection.execute(sql.CLOCK)).scalar_one()
    return now


async def all_schedules(connection: AsyncConnection) -> list[Schedule]:
    """By name."""
    return [schedule_of(row) for row in await connection.execute(sql.ALL)]


async def find_schedule(connection: AsyncConnection, name: str, statement: TextClause = sql.ONE) -> Schedule:
    """The schedule of this name. Raises ``UnknownSchedule``."""
    row = (await connection.execute(statement, {"name": name})).first()
    if row is not None:
        return schedule_of(row)
    names = [schedule.name for schedule in await all_schedules(connection)]
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f" (did you mean {nearest[0]}?)" if nearest else ""
    raise UnknownSchedule(f"there is no schedule {name!r}{hint}; `tailrace schedule list` shows them")


async def create(engine: AsyncEngine, tasks: Iterable[Task], fields_given: Mapping[str, Any]) -> Schedule:
    """A new schedule, whose first instant is the first from now on. Raises one of ``REFUSALS``."""
    async with engine.begin() as connection:
        now = await clock(connection)
        wanted = Schedule(**{"starts_at": now.replace(microsecond=0), **fields_given})
        check_schedule(wanted, tasks)
        coming = _first_from(wanted, now)
        wanted = replace(wanted, next_at=coming if wanted.enabled else None, edited=True)
        created = await connection.execute(sql.CREATE, _parameters(wanted))
        if created.first() is None:
            raise WrongSchedule(f"there is a schedule {wanted.name!r} already; `tailrace schedule edit` changes it")
    return wanted


async def edit(engine: AsyncEngine, tasks: Iterable[Task], name: str, changes: Mapping[str, Any]) -> Schedule:
    """The schedule with these changes. Where they move its instants, it goes on with the first from now on.

    Raises ``UnknownSchedule`` or one of ``REFUSALS``, and has changed nothing then.
    """
    async with engine.begin() as connection:
        found = await find_schedule(connection, name, sql.LOCK)
        given = [kind for kind in KINDS if changes.get(kind) is not None]
        other_kinds = dict.fromkeys(KINDS) if given else {}
        changed = replace(found, **{**other_kinds, **changes}, error=None, edited=True)
        check_schedule(changed, tasks)
        if any(getattr(changed, time) != getattr(found, time) for time in TIMES):
            coming = _first_from(changed, await clock(connection))
            changed = replace(changed, next_at=coming if changed.enabled else None)
        await connection.execute(sql.CHANGE, _parameters(changed))
    return changed


async def enable(engine: AsyncEngine, tasks: Iterable[Task], name: str) -> Schedule:
    """From now on: what fell due while it was disabled has not been missed. Raises as ``edit``."""
    async with engine.begin() as connection:
        found = await find_schedule(connection, name, sql.LOCK)
        if found.enabled:
            return found
        check_schedule(found, tasks)
        coming = _first_from(found, await clock(connection))
        enabled = replace(found, enabled=True, next_at=coming, error=None, edited=True)
        await connection.execute(sql.CHANGE, _parameters(enabled))
    return enabled


async def disable(engine: AsyncEngine, name: str) -> Schedule:
    """Nothing of it falls due any more; runs that are on their queues go on. Raises ``UnknownSchedule``."""
    async with engine.begin() as connection:
        found = await find_schedule(connection, name, sql.LOCK)
        disabled = replace(found, enabled=False, next_at=None, error=None, edited=True)
        await connection.execute(sql.CHANGE, _parameters(disabled))
    return disabled


async def delete(engine: AsyncEngine, name: str) -> None:
    """The schedule is gone, its runs stay in the ledger. Raises ``UnknownSchedule``."""
    async with engine.begin() as connection:
        await find_schedule(connection, name, sql.LOCK)
        await connection.execute(sql.DELETE, {"name": name})


async def history(connection: AsyncConnection, name: str, count: int) -> list[dict[str, Any]]:
    """Its latest runs, newest first."""
    return [dict(row) for row in (await connection.execute(sql.HISTORY, {"name": name, "count": count})).mappings()]


def _first_from(schedule: Schedule, now: datetime) -> datetime:
    try:
        coming = schedule.first_after(now)
    except OverflowError as error:
        raise TimingError(f"what starts at {rfc3339(schedule.starts_at)} is beyond the calendar") from error
    if coming is not None:
        return coming
    if schedule.at is not None and schedule.at > now:
        raise TimingError(f"{rfc3339(schedule.at)} is before its start, {rfc3339(schedule.starts_at)}")
    if schedule.at is not None:
        raise TimingError(f"{rfc3339(schedule.at)} has passed; `tailrace schedule run-now` runs a schedule at once")
    raise TimingError(f"cron {schedule.cron!r} names no date that comes within 50 years")


def _parameters(schedule: Schedule) -> dict[str, Any]:
    values = {name: getattr(schedule, name) for name in FIELDS}
    return {**values, "args": msgspec.json.encode(schedule.args).decode()}
