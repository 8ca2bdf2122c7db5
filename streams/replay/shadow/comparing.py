"""What a shadow replay has left, beside what is live: outcomes, rows and files."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.media.errors import MissingMedia
from streams.media.storage import Storage
from streams.replay.shadow.no_longer_made import files_no_longer_made, find_writers, rows_no_longer_made
from streams.replay.shadow.scratch import Scratch, find_tables
from streams.replay.shadow.storage import ShadowStorage

EXAMPLES = 50
MACHINERY = frozenset(
    {"task_runs", "outbox", "relay", "queues", "schedules", "dead_letter_marks", "replays", "mail_deliveries"}
)
"""Tables of how it runs and not of what is done; trends are no task's."""

# Runs whose outcome differs from the live run of the same event and task.
OUTCOMES = """
    SELECT shadow.task, live.state AS live_state, shadow.state AS shadow_state, live.outcome AS live,
           coalesce(shadow.outcome, to_jsonb(shadow.error)) AS shadow, shadow.args
      FROM {ours}.task_runs AS shadow LEFT JOIN tailrace.task_runs AS live USING (caused_at, id)
     WHERE live.state IS DISTINCT FROM shadow.state OR live.outcome IS DISTINCT FROM shadow.outcome
"""

# Columns that tell when or by which run a row was written: they differ in any case. ``by_default``: their value is
# made when a row is, so that no two rows can be matched by it.
VOLATILE = text("""
    SELECT attname AS name, attname <> ALL('{run_id,attempt,takeovers}') AS by_default
      FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped
       AND (attname = ANY('{run_id,attempt,takeovers}') OR attidentity <> ''
            OR pg_get_expr(adbin, adrelid) ~ '(now|clock_timestamp|CURRENT_TIMESTAMP|nextval|uuid)')
""")

KEY = text("""
    SELECT attname AS name FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
     WHERE indrelid = to_regclass(:table) AND indisprimary
""")

# Rows that the shadow has left and that are not so in the live table.
ROWS = """
    SELECT to_jsonb(shadow) - CAST(:volatile AS text[]) AS shadow, to_jsonb(live) - CAST(:volatile AS text[]) AS live
      FROM {scratch} AS shadow LEFT JOIN {live} AS live USING ({key})
     WHERE (to_jsonb(shadow) - CAST(:volatile AS text[])) IS DISTINCT FROM (to_jsonb(live) - CAST(:volatile AS text[]))
"""


class Report(msgspec.Struct):
    """How many runs there were by state, and how many outcomes, rows of each table and files differ; some of them."""

    runs: dict[str, int]
    outcomes: int
    rows: dict[str, int]
    files: int
    examples: list[dict[str, Any]] = []


async def compare(
    engine: AsyncEngine, scratch: Scratch, tables: Sequence[str], live: Storage, shadow: ShadowStorage, max_bytes: int
) -> Report:
    """Everything that the shadow has left, against what is live."""
    others = await find_tables(engine, tables)
    async with engine.connect() as connection:
        states = text(f"SELECT state, count(*) AS runs FROM {scratch.ours}.task_runs GROUP BY state")  # noqa: S608
        runs = {row.state: row.runs for row in await connection.execute(states)}
        report = Report(runs, 0, {}, 0)
        await find_writers(connection, scratch)
        found = (await connection.execute(text(OUTCOMES.format(ours=scratch.ours)))).mappings().all()
        report.outcomes = len(found)
        _show(report, ({"what": "outcome", **row} for row in found))
        copies = {f"tailrace.{name}": f"{scratch.ours}.{name}" for name in await _our_tables(connection, scratch)}
        copies |= {table: f'{scratch.other}."{name}"' for name, table in others.items()}
        for table, copy in copies.items():
            await _compare_rows(connection, scratch, copy, table, report)
        named = await files_no_longer_made(connection, scratch)
    await _compare_files(live, shadow, max_bytes, named, report)
    return report


async def _our_tables(connection: AsyncConnection, scratch: Scratch) -> list[str]:
    tables = text("SELECT tablename FROM pg_tables WHERE schemaname = :schema ORDER BY tablename")
    names = (await connection.execute(tables, {"schema": scratch.ours})).scalars()
    return [name for name in names if name not in MACHINERY and not name.startswith("trending_")]


async def _compare_rows(connection: AsyncConnection, scratch: Scratch, copy: str, table: str, report: Report) -> None:
    key = [row.name for row in await connection.execute(KEY, {"table": table})]
    found = (await connection.execute(VOLATILE, {"table": table})).all()
    if not key or any(row.by_default and row.name in key for row in found):
        if not (await connection.execute(text(f"SELECT EXISTS (SELECT FROM {copy})"))).scalar_one():  # noqa: S608
            return
        report.rows[table] = 0
        problem = "its primary key has a value that is made with the row" if key else "it has no primary key"
        _show(report, [{"what": "table", "table": table, "problem": f"{problem}: its rows cannot be compared"}])
        return
    volatile = [row.name for row in found if row.name not in key]
    columns = ", ".join(f'"{name}"' for name in key)
    statement = text(ROWS.format(scratch=copy, live=table, key=columns))
    rows = [dict(row) for row in (await connection.execute(statement, {"volatile": volatile})).mappings()]
    gone, unsure = await rows_no_longer_made(connection, scratch, copy, table, key, volatile)
    if rows or gone:
        report.rows[table] = len(rows) + len(gone)
        _show(report, ({"what": "row", "table": table, **row} for row in (*rows, *gone)))
    for task in unsure:
        problem = f"{task} has written rows here and none in the shadow: it makes none, or changes those of others"
        _show(report, [{"what": "table", "table": table, "problem": problem}])


async def _compare_files(
    live: Storage, shadow: ShadowStorage, max_bytes: int, named: Mapping[str, int], report: Report
) -> None:
    written = {key async for key in shadow.written()}
    for key in sorted(written):
        mine = await shadow.get(key, max_bytes)
        try:
            theirs = await live.get(key, max_bytes)
        except MissingMedia:
            theirs = None
        if mine != theirs:
            _show_file(report, key, None if theirs is None else len(theirs), len(mine))
    for key, size in named.items():
        if key not in written and await live.exists(key):
            _show_file(report, key, size, None)


def _show_file(report: Report, key: str, live: int | None, shadow: int | None) -> None:
    report.files += 1
    _show(report, [{"what": "file", "key": key, "live": live, "shadow": shadow}])


def _show(report: Report, found: Iterable[dict[str, Any]]) -> None:
    """Some of each kind."""
    for example in found:
        same_kind = sum(known["what"] == example["what"] for known in report.examples)
        if same_kind >= EXAMPLES:
            return
        report.examples.append(example)
