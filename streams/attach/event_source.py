"""Whose events the database says: one row, which triggers, backfills and ``tailrace.emit()`` read."""

import asyncpg

from schemas.envelope import DEFAULT_SOURCE
from streams.attach.event_sql import literal
from streams.attach.installing import Step, carry_out

IS_THERE = "SELECT to_regclass('tailrace.event_source') IS NOT NULL"
READ = "SELECT source FROM tailrace.event_source"


async def source_step(connection: asyncpg.Connection, source: str) -> Step | None:
    """What makes it this one; None where it is. A schema that has no such row yet begins with the default."""
    found = DEFAULT_SOURCE
    if await connection.fetchval(IS_THERE):
        found = await connection.fetchval(READ)
    if found == source:
        return None
    row = f"INSERT INTO tailrace.event_source (source) VALUES ({literal(source)})"  # noqa: S608 - a literal
    return Step(f"say events as those of {source}", [f"{row} ON CONFLICT (id) DO UPDATE SET source = excluded.source"])


async def keep_source(connection: asyncpg.Connection, source: str) -> bool:
    """Whether it was another one before."""
    step = await source_step(connection, source)
    if step:
        await carry_out(connection, step)
    return step is not None
