"""Many who are to be forgotten are forgotten together: ledger and outbox are read once for all who wait.

A run erases the traces of the others, too, and leaves each a note of what there was; its own run finds the note,
reports it and does what is left. Without one, or if it is old, it erases the traces itself: nothing hangs on notes.
"""

from collections.abc import Mapping
from datetime import timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.cleanup.post_files import PostFiles
from streams.forgetting import runs
from streams.forgetting.runs import Traces
from streams.forgetting.subject import FORGETTING, Subject
from streams.task import Context

MOST = 5_000
FRESH = timedelta(minutes=15)
"""Something new may be said of somebody after that."""

# Runs that are to forget somebody and have not begun.
WAITING = sa.text("""
    SELECT task, args FROM tailrace.task_runs
     WHERE state IN ('queued', 'parked') AND task = ANY(CAST(:tasks AS text[])) LIMIT :limit
""")

# Which of these posts can still be restored.
IN_THE_BIN = sa.text("SELECT post_id FROM tailrace.deleted_posts WHERE post_id = ANY(CAST(:posts AS text[]))")

NOTE = sa.text("""
    INSERT INTO tailrace.forgotten (kind, subject_id, traces)
    SELECT kind, subject_id, traces::jsonb
      FROM unnest(CAST(:kinds AS text[]), CAST(:ids AS text[]), CAST(:traces AS text[]))
           AS notes (kind, subject_id, traces)
    ON CONFLICT (kind, subject_id) DO UPDATE SET traces = excluded.traces, erased_at = now()
""")
TAKE = sa.text("""
    DELETE FROM tailrace.forgotten WHERE kind = :kind AND subject_id = :id
    RETURNING traces, erased_at > clock_timestamp() - CAST(:fresh AS interval) AS is_fresh
""")
TRIM = sa.text("DELETE FROM tailrace.forgotten WHERE erased_at < clock_timestamp() - CAST(:fresh AS interval)")


async def erase_traces(ctx: Context, subject: Subject) -> Traces:
    """What ledger and outbox had of the subject, now or a moment ago."""
    noted = await _take(ctx.engine, subject)
    if noted and not (await runs.count_running(ctx.engine, [subject]))[subject]:
        return noted
    found = await runs.erase(ctx.engine, {subject, *await _waiting(ctx)})
    await _note(
        ctx.engine, {each: traces for each, traces in found.items() if each != subject and not traces.under_way}
    )
    return found[subject]


async def _waiting(ctx: Context) -> set[Subject]:
    """Of the posts only those that their own runs will forget."""
    asked = {"tasks": list(FORGETTING), "limit": MOST}
    async with ctx.engine.connect() as connection:
        found = (await connection.execute(WAITING, asked)).all()
        users = {Subject("user", str(row.args["user_id"])) for row in found if "user_id" in row.args}
        posts = {str(row.args["post_id"]) for row in found if "post_id" in row.args}
        binned = set((await connection.execute(IN_THE_BIN, {"posts": list(posts)})).scalars())
    there = await PostFiles(ctx.engine, ctx.backend, ctx.storage).existing(posts) if posts else set()
    return users | {Subject("post", post) for post in posts - binned - there}


async def _take(engine: AsyncEngine, subject: Subject) -> Traces | None:
    values = {"kind": subject.kind, "id": subject.id, "fresh": FRESH}
    async with engine.begin() as connection:
        row = (await connection.execute(TAKE, values)).first()
    return msgspec.convert(row.traces, Traces) if row and row.is_fresh else None


async def _note(engine: AsyncEngine, found: Mapping[Subject, Traces]) -> None:
    columns = {
        "kinds": [subject.kind for subject in found],
        "ids": [subject.id for subject in found],
        "traces": [msgspec.json.encode(traces).decode() for traces in found.values()],
    }
    async with engine.begin() as connection:
        await connection.execute(TRIM, {"fresh": FRESH})
        if found:
            await connection.execute(NOTE, columns)
