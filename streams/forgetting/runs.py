"""What ledger and outbox say of subjects. Runs stay, since a repeat is known by them; whom they were about goes.

Each is read once, for however many subjects.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.forgetting.subject import DELETIONS, FORGETTING, NAMES, Subject, named_in

ROWS = 1_000
STRETCH = timedelta(days=7)
"""Of the ledger, in one transaction."""

SAID = ", ".join(f"args ->> '{name}' AS {name}" for name in NAMES)
ABOUT = "task <> ALL(CAST(:forgetting AS text[])) AND ({})".format(
    " OR ".join(
        f"args ->> '{name}' IN (SELECT id FROM unnest(CAST(:{kind}s AS text[])) AS id)"  # noqa: S608 - constants
        for name, kind in NAMES.items()
    )
)

# What still waits will not run: there is nobody left for it.
CANCEL = sa.text(f"""
    UPDATE tailrace.task_runs
       SET state = 'cancelled', finished_at = clock_timestamp(), scheduled_for = NULL
     WHERE state IN ('queued', 'parked') AND {ABOUT}
    RETURNING {SAID}
""")  # noqa: S608 - constants

RUNNING = sa.text(f"SELECT {SAID} FROM tailrace.task_runs WHERE state = 'running' AND {ABOUT}")  # noqa: S608

MONTHS = sa.text("""
    SELECT from_day::timestamp AT TIME ZONE 'UTC' AS first, to_day::timestamp AT TIME ZONE 'UTC' AS last
      FROM tailrace.task_run_months ORDER BY from_day
""")

# Runs that have ended. Their ids stay; the arguments, what came of them, and the event's own name go.
ENDED = "state IN ('done', 'skipped', 'dead', 'cancelled')"
ANONYMISE = sa.text(f"""
    WITH about AS MATERIALIZED (
        SELECT caused_at, id, {SAID} FROM tailrace.task_runs
         WHERE caused_at >= :first AND caused_at < :last AND {ENDED} AND {ABOUT})
    UPDATE tailrace.task_runs AS run
       SET args = '{{"forgotten"\\: true}}', outcome = NULL, error = NULL, cause = NULL, key = NULL,
           concurrency_key = NULL
      FROM about
     WHERE run.caused_at >= :first AND run.caused_at < :last AND run.{ENDED}
       AND run.caused_at = about.caused_at AND run.id = about.id
    RETURNING {", ".join(f"about.{name}" for name in NAMES)}
""")  # noqa: S608 - constants

OUTBOX = sa.text("""
    SELECT id, payload FROM tailrace.outbox
     WHERE id > :after AND topic <> ALL(CAST(:deletions AS text[])) ORDER BY id LIMIT :limit
""")
ERASE = sa.text("DELETE FROM tailrace.outbox WHERE id = ANY(CAST(:ids AS bigint[])) RETURNING id")


class Traces(msgspec.Struct, frozen=True):
    """How many runs about a subject waited and are cancelled, rows of the outbox are gone, ended runs are anonymised;
    and how many are under way, so that they will be rows of the ledger when they end.
    """

    cancelled: int
    outbox: int
    anonymised: int
    under_way: int


async def erase(engine: AsyncEngine, subjects: Collection[Subject]) -> dict[Subject, Traces]:
    """All that there is of them, but for what is under way."""
    values = _values(subjects)
    async with engine.begin() as connection:
        cancelled = _counted(await connection.execute(CANCEL, values), subjects)
    outbox = await _erase_from_outbox(engine, subjects)
    anonymised = await _anonymise(engine, subjects, values)
    under_way = await count_running(engine, subjects)
    return {each: Traces(cancelled[each], outbox[each], anonymised[each], under_way[each]) for each in subjects}


async def count_running(engine: AsyncEngine, subjects: Collection[Subject]) -> Counter[Subject]:
    """Runs about each that are under way."""
    async with engine.connect() as connection:
        return _counted(await connection.execute(RUNNING, _values(subjects)), subjects)


async def _anonymise(engine: AsyncEngine, subjects: Collection[Subject], values: dict[str, Any]) -> Counter[Subject]:
    """A week of the ledger at a time."""
    async with engine.connect() as connection:
        months = (await connection.execute(MONTHS)).all()
    changed: Counter[Subject] = Counter()
    for month in months:
        first = month.first
        while first < month.last:
            last = min(first + STRETCH, month.last)
            async with engine.begin() as connection:
                stretch = {**values, "first": first, "last": last}
                changed += _counted(await connection.execute(ANONYMISE, stretch), subjects)
            first = last
    return changed


async def _erase_from_outbox(engine: AsyncEngine, subjects: Collection[Subject]) -> Counter[Subject]:
    """Facts and commands about them that were still to be sent, or had been set aside."""
    erased, after, wanted = Counter[Subject](), 0, set(subjects)
    while True:
        async with engine.begin() as connection:
            page = {"after": after, "deletions": list(DELETIONS), "limit": ROWS}
            rows = (await connection.execute(OUTBOX, page)).all()
            about = {row.id: found for row in rows if (found := named_in(_content(row.payload)) & wanted)}
            if about:
                gone = (await connection.execute(ERASE, {"ids": list(about)})).scalars()
                erased.update(subject for row_id in gone for subject in about[row_id])
        if len(rows) < ROWS:
            return erased
        after = rows[-1].id


def _values(subjects: Iterable[Subject]) -> dict[str, Any]:
    ids: dict[str, list[str]] = {"users": [], "posts": []}
    for subject in subjects:
        ids[f"{subject.kind}s"].append(subject.id)
    return {**ids, "forgetting": list(FORGETTING)}


def _counted(rows: Iterable[Any], subjects: Collection[Subject]) -> Counter[Subject]:
    """How many of these rows are about each of the subjects; a row may be about two."""
    wanted, counts = set(subjects), Counter[Subject]()
    for row in rows:
        counts.update(wanted & {Subject(kind, getattr(row, name)) for name, kind in NAMES.items()})
    return counts


def _content(payload: bytes | None) -> object:
    """None of what is not JSON: it names nobody that a program could find."""
    try:
        return msgspec.json.decode(payload or b"null")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
