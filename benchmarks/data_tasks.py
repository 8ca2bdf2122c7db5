"""The tasks over all users and posts: `python -m benchmarks.data_tasks [--scales 100000] [--no-orm] [--out FILE]`.

First 20,000 users with 200,000 posts and follows, by a loop of Django's ORM as backends write it, and by Tailrace; the
loop's scores are saved nowhere, ours are. Then each of ``--scales``, as many users as posts and twice as many follows:
`--scales 100000,1000000` takes some ten minutes, most of them to make the rows. Each task runs `first` on rows that are
all wrong, `again` when nothing has changed, and engagement with a thousandth of the posts changed, anywhere.
``transaction_ms``: the longest transaction that wrote, so no row was locked for longer. The database commits durably.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from agents import TASKS
from benchmarks.command import run_benchmark
from benchmarks.data_tasks_rows import Rows, create, fill, settle
from benchmarks.environments import environment
from benchmarks.own_postgres import own_postgres
from run import SetupError
from streams.db import autocommit, engine_for
from streams.run_here import run_here
from streams.settings import Settings

LOCKED = Path(__file__).with_name("data-tasks-requirements.lock")
BESIDE_THE_ORM = Rows(users=20_000, posts=200_000, follows=200_000)
STATISTICS, SCORES, ANALYTICS = (
    "update_user_statistics",
    "update_post_engagement_scores",
    "generate_content_analytics",
)
EVERY = 0.005

# How long the transactions that have written something have been going on.
LONGEST = text("""
    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)
      FROM pg_stat_activity
     WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
""")

# A thousandth of the posts is seen once more.
CHANGE_SOME = text("UPDATE posts SET views_count = views_count + 1 WHERE id % 1000 = 7")


@dataclass
class Locks:
    """The longest that was seen."""

    seconds: float = 0.0


@asynccontextmanager
async def watched(engine: AsyncEngine) -> AsyncIterator[Locks]:
    """Looks at the transactions of the database, again and again."""
    found = Locks()

    async def watch() -> None:
        async with autocommit(engine) as connection:
            while True:
                found.seconds = max(found.seconds, float((await connection.execute(LONGEST)).scalar_one()))
                await asyncio.sleep(EVERY)

    task = asyncio.create_task(watch())
    try:
        yield found
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def run_task(settings: Settings, engine: AsyncEngine, name: str) -> dict[str, Any]:
    """One run as `tailrace run` has it, its ledger row included."""
    task = next(task for task in TASKS if task.name == name)
    async with watched(engine) as locks:
        began = time.perf_counter()
        ended = await run_here(settings, engine, task, {})
        took = time.perf_counter() - began
    if ended["state"] != "done":
        sys.exit(f"benchmarks.data_tasks: {name} is {ended['state']}: {ended['error']}")
    counts = {name: value for name, value in ended["outcome"].items() if name in ("scanned", "updated")}
    return {"s": round(took, 2), **counts, "transaction_ms": round(locks.seconds * 1000)}


async def at_scale(settings: Settings, engine: AsyncEngine, rows: Rows) -> dict[str, Any]:
    """Each task on rows that are wrong, and on rows that are right."""
    await fill(engine, rows)
    found: dict[str, Any] = {}
    for name in (STATISTICS, SCORES):
        found[name] = {"first": await run_task(settings, engine, name)}
        await settle(engine)
        found[name]["again"] = await run_task(settings, engine, name)
    async with engine.begin() as connection:
        await connection.execute(CHANGE_SOME)
    found[SCORES]["little_changed"] = await run_task(settings, engine, SCORES)
    found[ANALYTICS] = await run_task(settings, engine, ANALYTICS)
    return found


def orm_python() -> Path:
    """The interpreter of Django's environment. Ends the program where it cannot be made."""
    try:
        return environment("django", LOCKED) / "bin" / "python"
    except SetupError as error:
        sys.exit(f"benchmarks.data_tasks: {error}; or leave the ORM out with --no-orm")


async def beside_the_orm(settings: Settings, engine: AsyncEngine) -> dict[str, Any]:
    """The loop first, then ours on the same rows made anew."""
    await fill(engine, BESIDE_THE_ORM)
    python = orm_python()
    root = str(Path(__file__).resolve().parents[1])
    argv = (str(python), "-m", "benchmarks.data_tasks_orm", settings.database.url)
    process = await asyncio.create_subprocess_exec(*argv, cwd=root, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    if process.returncode:
        sys.exit("benchmarks.data_tasks: the ORM's program failed; its message is above")
    orm, ours = json.loads(out), await at_scale(settings, engine, BESIDE_THE_ORM)
    ratio = {name: round(orm[name] / ours[name]["first"]["s"], 1) for name in orm}
    return {"rows": vars(BESIDE_THE_ORM), "orm_s": orm, "tailrace": ours, "orm_to_tailrace": ratio}


async def compare(scales: str, no_orm: bool) -> dict[str, Any]:
    """All of it, on a server of its own. ``scales``: users and posts, with commas between."""
    async with own_postgres() as settings:
        engine = engine_for(settings.database)
        await create(engine)
        found = {} if no_orm else {"beside_the_orm": await beside_the_orm(settings, engine)}
        for scale in (int(scale) for scale in scales.split(",") if scale):
            found[str(scale)] = await at_scale(settings, engine, Rows(scale, scale, 2 * scale))
        await engine.dispose()
    return found


if __name__ == "__main__":
    run_benchmark(__doc__, compare, scales="100000", no_orm=False)
