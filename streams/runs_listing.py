"""Read the ledger for people: runs by task, state, queue and time, and one run by its id."""

import base64
import uuid
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.tables import task_runs
from streams import runs_sql as sql
from streams.db import autocommit
from streams.run_filter import Filter
from streams.run_ids import RunId

Facts = dict[str, Any]
"""A row of the ledger as it is shown: ``run`` is how the command line names it."""


class UnknownRun(Exception):
    """The ledger has no such run; the message says where it was looked for."""


async def list_runs(engine: AsyncEngine, wanted: Filter, limit: int) -> list[Facts]:
    """The newest ``limit`` runs among these."""
    async with autocommit(engine) as connection:
        return [facts_of(row) for row in await connection.execute(sql.listing(wanted, limit=limit))]


async def list_ids(engine: AsyncEngine, wanted: Filter) -> list[RunId]:
    """Every one of these, oldest last."""
    async with autocommit(engine) as connection:
        rows = await connection.execute(sql.listing(wanted, task_runs.c.id, task_runs.c.caused_at))
        return [RunId(row.id, row.caused_at) for row in rows]


async def resolve(engine: AsyncEngine, named: RunId | uuid.UUID) -> RunId:
    """The ledger's key of a run. An id alone is looked for in the months, newest first. Raises ``UnknownRun``."""
    if isinstance(named, RunId):
        return named
    async with autocommit(engine) as connection:
        months = (await connection.execute(sql.MONTHS)).all()
        for month in months:
            found = await connection.execute(sql.FIND, {"id": named, "first": month.first, "last": month.last})
            if (caused_at := found.scalar_one_or_none()) is not None:
                return RunId(named, caused_at)
    raise UnknownRun(f"{named} is in none of the ledger's {len(months)} months: {NO_ROW_YET}")


NO_ROW_YET = "a fact's command has a row from when a worker first claims it"


async def read_run(connection: AsyncConnection, run: RunId) -> Any | None:
    """The row, or None."""
    return (await connection.execute(sql.SHOW, {"id": run.id, "caused_at": run.caused_at})).first()


async def show_run(engine: AsyncEngine, named: RunId | uuid.UUID) -> Facts:
    """All that is known of one run. Raises ``UnknownRun``."""
    run = await resolve(engine, named)
    async with autocommit(engine) as connection:
        row = await read_run(connection, run)
    if row is None:
        raise UnknownRun(f"{run} is not in the ledger; check the time behind the @, or give the id alone")
    return facts_of(row)


async def open_by_queue(engine: AsyncEngine) -> dict[str, dict[str, int]]:
    """Queue -> state -> runs that are not finished."""
    counts: dict[str, dict[str, int]] = {}
    async with autocommit(engine) as connection:
        for row in await connection.execute(sql.OPEN_BY_QUEUE):
            counts.setdefault(row.queue, {})[row.state] = row.runs
    return counts


def facts_of(row: Any) -> Facts:
    """The row with the run's name in front and its key as text."""
    facts = dict(row._mapping)
    facts["key"] = _text(facts["key"])
    return {"run": str(RunId(row.id, row.caused_at)), **facts}


def _text(key: bytes | None) -> str | None:
    if key is None:
        return None
    try:
        return key.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(key).decode()
