"""Make assets again, as commands of the ledger: the cause of each is the asset as it was last made."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.commands import Command, command_id
from schemas.envelope import Identity
from streams.db import autocommit
from streams.media.asset_filter import Condition
from streams.media.assets import OUR_SOURCE
from streams.submission import Submission, submit

CAUSE = "media.reprocess"
CHUNK = 500

# How many assets are meant, of each kind and status.
COUNT = """
    SELECT asset.kind, asset.status, count(*) AS assets FROM tailrace.media_assets AS asset
     WHERE {where} GROUP BY asset.kind, asset.status ORDER BY asset.kind, asset.status
"""

# The next of them, by their keys.
NEXT = """
    SELECT asset.post_id, asset.source, asset.kind, asset.focus_x, asset.focus_y, asset.updated_at
      FROM tailrace.media_assets AS asset
     WHERE {where} AND (asset.post_id, asset.source) > (:after_post, :after_source)
     ORDER BY asset.post_id, asset.source LIMIT :limit
"""

# Which of these are asked for already and have not ended.
OPEN = text("""
    SELECT id FROM tailrace.task_runs WHERE id = ANY(:ids) AND state IN ('queued', 'running', 'parked')
""")


@dataclass(frozen=True)
class Reprocessing:
    """What is asked for. ``rate`` is of assets a second; ids of posts are numbers where ``numbers``."""

    wanted: Condition
    task: str
    queue: str
    rate: float
    numbers: bool
    limit: int | None = None


async def count_assets(engine: AsyncEngine, wanted: Condition) -> list[dict[str, Any]]:
    """By kind and status."""
    async with autocommit(engine) as connection:
        found = await connection.execute(text(COUNT.format(where=wanted.where)), wanted.parameters)
        return [dict(row) for row in found.mappings()]


async def reprocess(engine: AsyncEngine, asked: Reprocessing, now: datetime) -> tuple[int, int]:
    """How many were put on the queue, and how many were waiting already. One transaction for each ``CHUNK``."""
    put = waiting = 0
    async for rows in _chunks(engine, asked):
        commands = [_command(row, asked, now) for row in rows]
        async with engine.begin() as connection:
            there = await _open(connection, commands)
            for command in commands:
                if command.id in there:
                    waiting += 1
                    continue
                due = now + timedelta(seconds=put / asked.rate)
                await submit(connection, Submission(command, asked.queue, str(command.args["post_id"]).encode(), due))
                put += 1
    return put, waiting


async def _chunks(engine: AsyncEngine, asked: Reprocessing) -> AsyncIterator[Sequence[Any]]:
    statement = text(NEXT.format(where=asked.wanted.where))
    after, left = ("", ""), asked.limit
    while left is None or left > 0:
        keys = {"after_post": after[0], "after_source": after[1], "limit": min(CHUNK, left or CHUNK)}
        async with autocommit(engine) as connection:
            rows = (await connection.execute(statement, {**asked.wanted.parameters, **keys})).all()
        if not rows:
            return
        yield rows
        after, left = (rows[-1].post_id, rows[-1].source), None if left is None else left - len(rows)


def _command(row: Any, asked: Reprocessing, now: datetime) -> Command:
    """The same asset, as it was last made, is the same cause: asked for twice, it is made once."""
    cause = Identity(OUR_SOURCE, CAUSE, f"{row.post_id}:{row.source}:{row.updated_at.isoformat()}")
    post_id = int(row.post_id) if asked.numbers and row.post_id.isdecimal() else row.post_id
    args: dict[str, Any] = {"post_id": post_id, row.kind: row.source}
    if row.focus_x is not None:
        args["image_focus"] = [row.focus_x, row.focus_y]
    return Command(id=command_id(cause, asked.task), task=asked.task, args=args, caused_at=now, cause=cause)


async def _open(connection: AsyncConnection, commands: Sequence[Command]) -> set[Any]:
    found = await connection.execute(OPEN, {"ids": [command.id for command in commands]})
    return set(found.scalars())
