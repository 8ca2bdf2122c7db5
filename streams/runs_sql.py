"""What people ask the ledger. Each statement is bounded by its cause's time, so that only some months are read,
or by an index on few rows.
"""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import text

from schemas.tables import task_runs
from streams.run_filter import Filter

# One run by the ledger's key.
SHOW = text("SELECT * FROM tailrace.task_runs WHERE caused_at = :caused_at AND id = :id")

# The months to search for an id alone, newest first.
MONTHS = text("""
    SELECT from_day::timestamp AT TIME ZONE 'UTC' AS first, to_day::timestamp AT TIME ZONE 'UTC' AS last
      FROM tailrace.task_run_months ORDER BY from_day DESC
""")

# An id alone in one month: reads that month's key, which holds both columns, and none of its rows.
FIND = text("""
    SELECT caused_at FROM tailrace.task_runs
     WHERE caused_at >= :first AND caused_at < :last AND id = :id
     ORDER BY caused_at DESC LIMIT 1
""")

# One that waits will not run.
CANCEL = text("""
    UPDATE tailrace.task_runs
       SET state = 'cancelled', finished_at = clock_timestamp(), duration_ms = NULL, scheduled_for = NULL
     WHERE caused_at = :caused_at AND id = :id AND state IN ('queued', 'parked')
    RETURNING attempt
""")

# Its commands that the outbox still holds. One that is on its way already finds the run cancelled.
FORGET = text("DELETE FROM tailrace.outbox WHERE dedupe_key = ANY(:keys)")

# Open runs of each queue, from the index of what is open.
OPEN_BY_QUEUE = text("""
    SELECT queue, state, count(*) AS runs FROM tailrace.task_runs
     WHERE state IN ('queued', 'running', 'parked') GROUP BY queue, state
""")

# One of these runs, whose cause's times differ, if there is any: a lookup of the key for each.
ANY_OF = text("""
    SELECT caused_at, state, args FROM tailrace.task_runs
     WHERE caused_at = ANY(CAST(:caused_at AS timestamptz[])) AND id = :id
     ORDER BY caused_at DESC LIMIT 1
""")


def listing(wanted: Filter, *columns: sa.Column[object], limit: int | None = None) -> sa.Select[tuple[object, ...]]:
    """The runs that ``wanted`` names, newest first."""
    when = _when(wanted)
    query = sa.select(*(columns or task_runs.c)).where(*_conditions(wanted, when))
    return query.order_by(when.desc(), task_runs.c.id).limit(limit)


def _when(wanted: Filter) -> sa.Column[datetime]:
    return task_runs.c.finished_at if wanted.state == "dead" else task_runs.c.caused_at


def _conditions(wanted: Filter, when: sa.Column[datetime]) -> list[sa.ColumnElement[bool]]:
    runs = task_runs.c
    named = ((runs.task, wanted.task), (runs.queue, wanted.queue), (runs.schedule, wanted.schedule))
    conditions: list[sa.ColumnElement[bool]] = [column == value for column, value in named if value is not None]
    if wanted.state is not None:
        # In the statement's text, where the planner sees that an index on few rows will do.
        conditions.append(runs.state == sa.bindparam("state", wanted.state, literal_execute=True))
    if wanted.since is not None:
        conditions.append(when >= wanted.since)
    if wanted.until is not None:
        conditions.append(when < wanted.until)
    return conditions
