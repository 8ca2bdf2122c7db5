"""What ledger and outbox say of a subject. Runs stay, since a repeat is known by them; whom they were about goes."""

from datetime import timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.forgetting.subject import DELETIONS, FORGETTING, NAMES, Subject

ROWS = 1_000
STRETCH = timedelta(days=7)
"""Of the ledger, in one transaction."""

ABOUT = """
    task <> ALL(CAST(:forgetting AS text[]))
    AND EXISTS (SELECT 1 FROM unnest(CAST(:names AS text[])) AS name WHERE args ->> name = :id)
"""

# What still waits will not run: there is nobody left for it.
CANCEL = sa.text(f"""
    UPDATE tailrace.task_runs
       SET state = 'cancelled', finished_at = clock_timestamp(), scheduled_for = NULL
     WHERE state IN ('queued', 'parked') AND {ABOUT}
""")  # noqa: S608 - a constant

RUNNING = sa.text(f"SELECT count(*) FROM tailrace.task_runs WHERE state = 'running' AND {ABOUT}")  # noqa: S608

MONTHS = sa.text("""
    SELECT from_day::timestamp AT TIME ZONE 'UTC' AS first, to_day::timestamp AT TIME ZONE 'UTC' AS last
      FROM tailrace.task_run_months ORDER BY from_day
""")

# Runs that have ended. Their ids stay; the arguments, what came of them, and the event's own name go.
ANONYMISE = sa.text(f"""
    UPDATE tailrace.task_runs
       SET args = '{{"forgotten"\\: true}}', outcome = NULL, error = NULL, cause = NULL, key = NULL,
           concurrency_key = NULL
     WHERE caused_at >= :first AND caused_at < :last AND state IN ('done', 'skipped', 'dead', 'cancelled') AND {ABOUT}
""")  # noqa: S608 - a constant

OUTBOX = sa.text("""
    SELECT id, payload FROM tailrace.outbox
     WHERE id > :after AND topic <> ALL(CAST(:deletions AS text[])) ORDER BY id LIMIT :limit
""")
ERASE = sa.text("DELETE FROM tailrace.outbox WHERE id = ANY(CAST(:ids AS bigint[]))")


def _values(subject: Subject) -> dict[str, object]:
    return {"id": subject.id, "names": list(NAMES[subject.kind]), "forgetting": list(FORGETTING)}


async def count_running(engine: AsyncEngine, subject: Subject) -> int:
    """Runs about it that are under way."""
    async with engine.connect() as connection:
        return int((await connection.execute(RUNNING, _values(subject))).scalar_one())


async def cancel_waiting(engine: AsyncEngine, subject: Subject) -> int:
    """How many runs about it waited; they are cancelled."""
    async with engine.begin() as connection:
        return (await connection.execute(CANCEL, _values(subject))).rowcount


async def anonymise(engine: AsyncEngine, subject: Subject) -> int:
    """How many ended runs were about it; a week of the ledger at a time."""
    async with engine.connect() as connection:
        months = (await connection.execute(MONTHS)).all()
    changed = 0
    for month in months:
        first = month.first
        while first < month.last:
            last = min(first + STRETCH, month.last)
            async with engine.begin() as connection:
                stretch = {**_values(subject), "first": first, "last": last}
                changed += (await connection.execute(ANONYMISE, stretch)).rowcount
            first = last
    return changed


async def erase_from_outbox(engine: AsyncEngine, subject: Subject) -> int:
    """How many facts and commands about it were still to be sent, or had been set aside."""
    erased, after = 0, 0
    while True:
        async with engine.begin() as connection:
            page = {"after": after, "deletions": list(DELETIONS), "limit": ROWS}
            rows = (await connection.execute(OUTBOX, page)).all()
            ids = [row.id for row in rows if subject.is_named_in(_content(row.payload))]
            if ids:
                erased += (await connection.execute(ERASE, {"ids": ids})).rowcount
        if len(rows) < ROWS:
            return erased
        after = rows[-1].id


def _content(payload: bytes | None) -> object:
    """None of what is not JSON: it names nobody that a program could find."""
    try:
        return msgspec.json.decode(payload or b"null")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
