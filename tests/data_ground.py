"""Backends for the data tasks: large ones made by the database, odd ones with other names and keys, and a barrier at
which a run can be met half-way.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backend import BackendTables
from streams.backend_presence import backend_of
from streams.setting_groups import Backend
from streams.task import Done, Outcome, Task
from tests.one_run import Workshop
from tests.waiting import eventually

ODD = Backend(
    db_schema="app",
    keys="uuid",
    tables={"users": "Account User", "posts": "entries"},
    columns={"users.followers_count": "fans", "posts.likes_count": "hearts", "posts.author_id": "writer"},
)
"""A backend with UUID keys whose tables and columns have names of their own."""

OURS = "tailrace.post_engagement, tailrace.content_analytics"

CROWD = text("""
    INSERT INTO users (password, username, first_name, last_name, is_superuser, is_staff, is_active, is_verified,
                       date_joined, created_at, updated_at, email, bio, location, website,
                       followers_count, following_count, posts_count)
    SELECT '', 'u' || number, '', '', false, false, true, false, now(), now(), now(), '', '', '', '', 1, 0, 0
      FROM generate_series(1, CAST(:users AS bigint)) AS number
""")

POSTS = text("""
    INSERT INTO posts (content, visibility, is_pinned, likes_count, comments_count, shares_count, views_count,
                       created_at, updated_at, author_id)
    SELECT '', 'public', false, 1, 0, 0, number, now() - interval '20 days', now(), 1
      FROM generate_series(1, CAST(:posts AS bigint)) AS number
""")

# Whoever moves a run's progress on waits here while somebody has the lock; the first range passes.
BARRIER = (
    """
    CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(4711);
        RETURN new;
    END $$
    """,
    "CREATE TRIGGER wait_here BEFORE UPDATE ON tailrace.task_progress FOR EACH ROW EXECUTE FUNCTION wait_here()",
)


async def execute(engine: AsyncEngine, *statements: str) -> None:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def crowd(engine: AsyncEngine, users: int) -> None:
    """So many users with 1 as their number of followers, which nobody follows."""
    async with engine.begin() as connection:
        await connection.execute(CROWD, {"users": users})


async def many_posts(engine: AsyncEngine, posts: int) -> None:
    """So many posts of one author, all too old to change their scores."""
    await crowd(engine, 1)
    async with engine.begin() as connection:
        await connection.execute(POSTS, {"posts": posts})


async def odd_backend(shop: Workshop) -> Workshop:
    """The same workshop with tables as ``ODD`` has them."""
    backend = backend_of(ODD)
    await execute(shop.engine, "CREATE SCHEMA IF NOT EXISTS app")
    async with shop.engine.begin() as connection:
        await connection.run_sync(backend.metadata.create_all)
    return replace(shop, backend=backend)


async def empty(shop: Workshop) -> None:
    """The backend's tables and ours, between two examples of one test."""
    names = (table.fullname for table in (shop.backend.users, shop.backend.content_types, shop.backend.hashtags))
    quoted = (".".join(f'"{part}"' for part in name.split(".")) for name in names)
    await execute(shop.engine, f"TRUNCATE {', '.join(quoted)}, tailrace.task_runs, {OURS} CASCADE")


async def done(shop: Workshop, task: Task, args: object, cause: str = "1") -> dict[str, Any]:
    """What a run says that came to its end, and is recorded so."""
    run = await shop.claim(task, args, cause=cause)
    outcome = await shop.perform(run)
    assert isinstance(outcome, Done), outcome
    assert await shop.record(run, outcome) == "done"
    return dict(outcome.result)


async def insert(shop: Workshop, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        async with shop.engine.begin() as connection:
            await connection.execute(table.insert(), rows)


async def column(shop: Workshop, *columns: Any) -> list[tuple[Any, ...]]:
    """What the rows hold, in the order of the first of these columns."""
    async with shop.engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(sa.select(*columns).order_by(columns[0]))]


def person(number: int, key: Any = None, **values: Any) -> dict[str, Any]:
    return {"id": key or number, "username": f"u{number}", "email": f"u{number}@example.org", **values}


def keys_of(backend: BackendTables, count: int) -> list[Any]:
    """Keys as this backend has them; UUIDs are in no order."""
    if isinstance(backend.users.c.id.type, sa.Uuid):
        return [uuid.uuid5(uuid.NAMESPACE_OID, str(number)) for number in range(count)]
    return list(range(1, count + 1))


@asynccontextmanager
async def met_half_way(shop: Workshop, task: Task, args: object) -> AsyncIterator["asyncio.Task[Outcome]"]:
    """A run that has committed its first range and is in its second, on a lease that is over; it goes on after the
    block unless it was cancelled there.
    """
    await execute(shop.engine, *BARRIER)
    hasty = shop.with_leases_of(timedelta(0))
    run = await hasty.claim(task, args)
    async with shop.engine.connect() as barrier:
        await barrier.execute(text("SELECT pg_advisory_lock(4711)"))
        performing = asyncio.create_task(hasty.perform(run))
        await eventually(lambda: _somebody_waits(shop), what="the second range")
        yield performing
        await barrier.execute(text("SELECT pg_advisory_unlock(4711)"))
        await asyncio.gather(performing, return_exceptions=True)


async def _somebody_waits(shop: Workshop) -> bool:
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 4711"
    async with shop.engine.connect() as connection:
        return (await connection.execute(text(waiting))).first() is not None
