"""What people do to runs: give the next attempt to one that has ended, or take back one that waits."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import click
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams import runs_sql as sql
from streams.db import autocommit
from streams.run_filter import RETRIED
from streams.run_ids import RunId
from streams.runs_listing import UnknownRun, read_run, resolve
from streams.submission import requeue
from streams.sweeper_sql import COPIES

Change = Callable[[AsyncEngine, RunId], Awaitable[str | None]]
"""Why a run was not changed, or None where it was."""


async def change_all(engine: AsyncEngine, named: Sequence[RunId | uuid.UUID], what: str, change: Change) -> int:
    """One transaction for each run. Says what came of each, and returns how many were refused."""
    refused = 0
    for name in named:
        try:
            run = await resolve(engine, name)
            why_not = await change(engine, run)
        except UnknownRun as error:
            why_not = str(error)
        if why_not is None:
            click.echo(f"{run} {what}")
        else:
            refused += 1
            click.echo(f"{name} not {what}: {why_not}", err=True)
    click.echo(f"{len(named) - refused} {what}" + (f", {refused} not" if refused else ""), err=True)
    return refused


async def retry(engine: AsyncEngine, run: RunId) -> str | None:
    """A dead or cancelled run waits on its queue as its next attempt."""
    async with engine.begin() as connection:
        if await requeue(connection, run.id, run.caused_at, states=RETRIED):
            return None
        return _why_not_retried(await read_run(connection, run))


async def would_retry(engine: AsyncEngine, run: RunId) -> str | None:
    """What ``retry`` would say, and nothing is changed."""
    async with autocommit(engine) as connection:
        row = await read_run(connection, run)
    return None if row is not None and row.state in RETRIED else _why_not_retried(row)


async def cancel(engine: AsyncEngine, run: RunId) -> str | None:
    """A run that waits will not start, wherever its command is."""
    async with engine.begin() as connection:
        row = (await connection.execute(sql.CANCEL, {"id": run.id, "caused_at": run.caused_at})).first()
        if row is None:
            return _why_not_cancelled(await read_run(connection, run))
        await _forget(connection, run, row.attempt)
        return None


async def _forget(connection: AsyncConnection, run: RunId, attempt: int) -> None:
    keys = [f"{why}:{run.id}:{attempt}" for why in COPIES]
    await connection.execute(sql.FORGET, {"keys": keys})


def _why_not_retried(row: Any | None) -> str:
    if row is None:
        return NOT_THERE
    if row.state in ("queued", "parked"):
        return f"it waits already, attempt {row.attempt}, due {_at(row.scheduled_for)}"
    if row.state == "running":
        return f"it runs on {row.worker} since {_at(row.started_at)}"
    return f"it is {row.state} since {_at(row.finished_at)}; only dead and cancelled runs are retried"


def _why_not_cancelled(row: Any | None) -> str:
    if row is None:
        return NOT_THERE
    if row.state == "running":
        return f"it runs on {row.worker} since {_at(row.started_at)}; only what waits can be cancelled"
    return f"it is {row.state} since {_at(row.finished_at)}"


NOT_THERE = "it is not in the ledger; check the time behind the @, or give the id alone"


def _at(instant: Any) -> str:
    return instant.isoformat(timespec="seconds") if instant else "at once"
