"""What a shadow replay has left, beside what is live: outcomes, rows and files."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.media.errors import MissingMedia
from streams.media.storage import Storage
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

# Columns that tell when or by which run a row was written: they differ in any case.
VOLATILE = text("""
    SELECT attname AS name
      FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped
       AND (attname = ANY('{run_id,attempt,takeovers}') OR attidentity <> ''
            OR pg_get_expr(adbin, adrelid) ~ '(now|clock_timestamp|CURRENT_TIMESTAMP|nextval)')
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
        found = (await connection.execute(text(OUTCOMES.format(ours=scratch.ours)))).mappings().all()
        report.outcomes = len(found)
        _show(report, ({"what": "outcome", **row} for row in found))
        pairs = [(f"{scratch.ours}.{name}", f"tailrace.{name}") for name in await _our_tables(connection, scratch)]
        pairs += [(f'{scratch.other}."{name}"', table) for name, table in others.items()]
        for copy, table in pairs:
            await _compare_rows(connection, copy, table, report)
    await _compare_files(live, shadow, max_bytes, report)
    return report


async def _our_tables(connection: AsyncConnection, scratch: Scratch) -> list[str]:
    tables = text("SELECT tablename FROM pg_tables WHERE schemaname = :schema ORDER BY tablename")
    names = (await connection.execute(tables, {"schema": scratch.ours})).scalars()
    return [name for name in names if name not in MACHINERY and not name.startswith("trending_")]


async def _compare_rows(connection: AsyncConnection, copy: str, table: str, report: Report) -> None:
    key = [row.name for row in await connection.execute(KEY, {"table": table})]
    if not key:
        report.rows[table] = 0
        _show(report, [{"what": "table", "table": table, "problem": "it has no primary key to compare by"}])
        return
    volatile = [row.name for row in await connection.execute(VOLATILE, {"table": table}) if row.name not in key]
    columns = ", ".join(f'"{name}"' for name in key)
    statement = text(ROWS.format(scratch=copy, live=table, key=columns))
    found = (await connection.execute(statement, {"volatile": volatile})).mappings().all()
    if found:
        report.rows[table] = len(found)
        _show(report, ({"what": "row", "table": table, **row} for row in found))


async def _compare_files(live: Storage, shadow: ShadowStorage, max_bytes: int, report: Report) -> None:
    async for key in shadow.written():
        mine = await shadow.get(key, max_bytes)
        try:
            theirs = await live.get(key, max_bytes)
        except MissingMedia:
            theirs = None
        if mine != theirs:
            report.files += 1
            sizes = {"live": None if theirs is None else len(theirs), "shadow": len(mine)}
            _show(report, [{"what": "file", "key": key, **sizes}])


def _show(report: Report, found: Iterable[dict[str, Any]]) -> None:
    """Some of each kind."""
    for example in found:
        same_kind = sum(known["what"] == example["what"] for known in report.examples)
        if same_kind >= EXAMPLES:
            return
        report.examples.append(example)
