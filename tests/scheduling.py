"""Schedules in a test's database, the timers that look at them, and what came of their instants."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.health import Health
from streams.metrics import Metrics
from streams.schedules import store
from streams.schedules.schedule import Schedule
from streams.schedules.timer import Timer
from streams.setting_groups import Schedules
from streams.task import Context, Done, Outcome, task

GRACE = timedelta(minutes=1)


class Nothing(msgspec.Struct):
    """No arguments."""


class Days(msgspec.Struct):
    days: int = 7


@task(queue="analytics")
async def count_all(args: Nothing, ctx: Context) -> Outcome:
    return Done()


@task(queue="maintenance")
async def clean_up(args: Days, ctx: Context) -> Outcome:
    return Done()


TASKS = {"count_all": count_all, "clean_up": clean_up}


def new_timer(engine: AsyncEngine, metrics: Metrics | None = None) -> Timer:
    return Timer(engine, TASKS, Schedules(grace=GRACE), metrics or Metrics(), Health().progress("timer"))


async def database_now(engine: AsyncEngine) -> datetime:
    async with engine.connect() as connection:
        return await store.clock(connection)


async def add(engine: AsyncEngine, name: str, *, due_since: datetime | None = None, **fields: Any) -> Schedule:
    """A schedule of ``count_all``; with ``due_since`` as an outage leaves it: nobody has looked since then."""
    given = {"name": name, "task": "count_all", "every": timedelta(hours=1), **fields}
    if due_since is not None:
        given = {"starts_at": due_since, **given}
    created = await store.create(engine, TASKS.values(), given)
    if due_since is not None:
        await update(engine, name, next_at=due_since)
    return created


async def update(engine: AsyncEngine, name: str, **columns: Any) -> None:
    """As somebody does with SQL, past all checks."""
    assignments = ", ".join(f"{column} = :{column}" for column in columns)
    async with engine.begin() as connection:
        await connection.execute(
            text(f"UPDATE tailrace.schedules SET {assignments} WHERE name = :name"), {"name": name, **columns}
        )


async def schedule(engine: AsyncEngine, name: str) -> Schedule:
    async with engine.connect() as connection:
        return await store.find_schedule(connection, name)


async def instants(engine: AsyncEngine, name: str, state: str) -> list[datetime]:
    """Of the schedule's runs in this state, oldest first."""
    wanted = text("SELECT caused_at FROM tailrace.task_runs WHERE schedule = :name AND state = :state ORDER BY 1")
    async with engine.connect() as connection:
        return list((await connection.execute(wanted, {"name": name, "state": state})).scalars())


async def orders(engine: AsyncEngine) -> list[Any]:
    """What waits in the outbox, as the commands that it is; each with its topic and when it is due."""
    asked = text(
        "SELECT topic, due_at, convert_from(payload, 'UTF8')::jsonb AS command FROM tailrace.outbox ORDER BY id"
    )
    async with engine.connect() as connection:
        return list(await connection.execute(asked))
