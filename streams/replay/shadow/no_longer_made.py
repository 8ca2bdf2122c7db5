"""Rows and files that are live and that the rehearsed code does not make, where that can be told exactly.

Effect and record of a run commit together. So a live row that was last written by the transaction that recorded the
run of an event is that run's; and where a rehearsal of the same event and task ended well without a row of its key, the
code does not make it any more. What is not sure is not told: a row that somebody has written since, or in whose key no
argument of the run is found (numbers of transactions come again after four thousand million), and transactions that
recorded several runs, as a restored database may have.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.replay.shadow.scratch import Scratch

# The transactions that recorded the live runs, redone ones too, of what the shadow has run to a good end.
FIND_WRITERS = """
    CREATE TABLE {other}.tailrace_live_writers AS
    SELECT live.xmin AS writer, live.id, live.task, live.args
      FROM {ours}.task_runs AS shadow JOIN tailrace.task_runs AS live
        ON live.caused_at = shadow.caused_at AND live.task = shadow.task AND live.cause = shadow.cause
     WHERE shadow.state IN ('done', 'skipped') AND live.state IN ('done', 'skipped')
"""

# So that the ledger is read once, and not once for each of them.
COUNT_WRITERS = "ANALYZE {other}.tailrace_live_writers"

# One that recorded others as well tells nothing.
DROP_COMMON_WRITERS = """
    DELETE FROM {other}.tailrace_live_writers AS run USING tailrace.task_runs AS other
     WHERE other.xmin = run.writer AND other.id <> run.id
"""

# Live rows of these runs that the shadow has no row for. ``makes_rows``: whether the task has made any in the shadow.
ROWS = """
    SELECT to_jsonb(live) - CAST(:volatile AS text[]) AS live, CAST(NULL AS jsonb) AS shadow, run.task,
           run.task IN (SELECT made.task FROM {scratch} AS row JOIN {ours}.task_runs AS made ON made.xmin = row.xmin)
               AS makes_rows
      FROM {live} AS live JOIN {other}.tailrace_live_writers AS run ON run.writer = live.xmin
     WHERE EXISTS (SELECT FROM jsonb_each_text(run.args) AS argument WHERE argument.value IN ({key_as_text}))
       AND NOT EXISTS (SELECT FROM {scratch} AS shadow WHERE ({shadow_key}) = ({live_key}))
"""

# Files that rows of these runs name, and no other row, here or in the shadow.
FILES = """
    SELECT live.key, live.bytes
      FROM tailrace.media_renditions AS live JOIN {other}.tailrace_live_writers AS run ON run.writer = live.xmin
     WHERE EXISTS (SELECT FROM jsonb_each_text(run.args) AS argument WHERE argument.value = live.post_id)
       AND run.task IN (SELECT made.task
                          FROM {ours}.media_renditions AS row JOIN {ours}.task_runs AS made ON made.xmin = row.xmin)
       AND NOT EXISTS (SELECT FROM {ours}.media_renditions AS shadow WHERE shadow.key = live.key)
       AND NOT EXISTS (SELECT FROM tailrace.media_renditions AS other
                        WHERE other.key = live.key
                          AND (other.post_id, other.source, other.variant) <> (live.post_id, live.source, live.variant))
"""


async def find_writers(connection: AsyncConnection, scratch: Scratch) -> None:
    """Before the others, in their transaction, which is rolled back."""
    for statement in (FIND_WRITERS, COUNT_WRITERS, DROP_COMMON_WRITERS):
        await connection.execute(text(statement.format(ours=scratch.ours, other=scratch.other)))


async def rows_no_longer_made(
    connection: AsyncConnection, scratch: Scratch, copy: str, table: str, key: Sequence[str], volatile: Sequence[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of the live ``table``, each as ``live`` beside an empty ``shadow``; and what cannot be told of tasks."""
    names = {
        "ours": scratch.ours,
        "other": scratch.other,
        "scratch": copy,
        "live": table,
        "key_as_text": ", ".join(f'live."{name}"::text' for name in key),
        "shadow_key": ", ".join(f'shadow."{name}"' for name in key),
        "live_key": ", ".join(f'live."{name}"' for name in key),
    }
    found = (await connection.execute(text(ROWS.format(**names)), {"volatile": list(volatile)})).all()
    unsure = sorted({row.task for row in found if not row.makes_rows})
    return [{"shadow": row.shadow, "live": row.live} for row in found if row.makes_rows], unsure


async def files_no_longer_made(connection: AsyncConnection, scratch: Scratch) -> dict[str, int]:
    """Their keys and bytes, as the rows of renditions say."""
    rows = await connection.execute(text(FILES.format(ours=scratch.ours, other=scratch.other)))
    return {row.key: row.bytes for row in rows}
