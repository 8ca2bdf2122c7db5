"""The end of the ledger's history: months that are older than is kept are dropped, whole."""

from datetime import date, timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.db import autocommit

# One worker at a time, until its COMMIT.
TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtext('tailrace.drop_months'))")

# Months that ended longer ago than is kept, oldest first.
OLD = text("""
    SELECT from_day FROM tailrace.task_run_months
     WHERE to_day <= (now() AT TIME ZONE 'UTC' - CAST(:keep AS interval))::date
     ORDER BY from_day
""")

# Runs of a month that have not ended, and with which its row would be lost.
OPEN_RUNS = text("""
    SELECT count(*) FROM tailrace.task_runs
     WHERE state IN ('queued', 'running', 'parked')
       AND caused_at >= CAST(:month AS date)::timestamp AT TIME ZONE 'UTC'
       AND caused_at < (CAST(:month AS date) + interval '1 month')::timestamp AT TIME ZONE 'UTC'
""")

# Claims wait behind whoever waits for a lock on the ledger, so nobody waits for one for long.
PATIENCE = text("SET LOCAL lock_timeout = '200ms'")

# The whole ledger, before its month: in the order in which claims lock them.
LOCK = text("LOCK TABLE ONLY tailrace.task_runs IN ACCESS EXCLUSIVE MODE")

# Whether nobody was first.
IS_THERE = text("SELECT count(*) FROM tailrace.task_run_months WHERE from_day = :month")

# With the rights of the schema's owner: a worker's role need not own anything.
DROP = text("SELECT tailrace.drop_month(:month)")

LOCK_NOT_AVAILABLE = "55P03"

log = structlog.get_logger(__name__)


async def drop_old_months(engine: AsyncEngine, keep: timedelta) -> list[date]:
    """The first days of the months that were dropped: those that ended ``keep`` ago and in which no run is open.

    Called every hour by each worker; who comes second does nothing. While the ledger is in use by somebody who takes
    his time, nothing is dropped. ``Ledger.make_room()`` afterwards, so that claims know of it.
    """
    async with autocommit(engine) as connection:
        old = [row.from_day for row in await connection.execute(OLD, {"keep": keep})]
        ended = [month for month in old if not await _is_open(connection, month)]
    dropped = []
    for month in ended:
        try:
            if await _is_dropped(engine, month):
                dropped.append(month)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            log.info("the ledger is in use, its old months are dropped another time", month=f"{month:%Y-%m}")
            break
    return dropped


async def _is_open(connection: AsyncConnection, month: date) -> bool:
    open_runs = (await connection.execute(OPEN_RUNS, {"month": month})).scalar_one()
    if open_runs:
        log.warning("old month of the ledger kept for its open runs", month=f"{month:%Y-%m}", open_runs=open_runs)
    return bool(open_runs)


async def _is_dropped(engine: AsyncEngine, month: date) -> bool:
    """Whether we have dropped it. In a transaction of its own, so that the ledger is locked for moments only."""
    async with engine.begin() as connection:
        if not (await connection.execute(TRY_LOCK)).scalar_one():
            return False
        await connection.execute(PATIENCE)
        await connection.execute(LOCK)
        is_there = (await connection.execute(IS_THERE, {"month": month})).scalar_one()
        if not is_there or await _is_open(connection, month):
            return False
        await connection.execute(DROP, {"month": month})
    log.info("old month of the ledger dropped", month=f"{month:%Y-%m}")
    return True
