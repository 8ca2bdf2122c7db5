"""Tags that are never shown: in no list, stream, snapshot or answer. They are counted all the same."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.trending.tags import MAX_LENGTH, normal_tag

# For every view, at each of its rounds.
BLOCKED = text("SELECT tag FROM tailrace.trending_blocked_tags")

# For people.
LISTED = text("SELECT tag, reason, blocked_at FROM tailrace.trending_blocked_tags ORDER BY tag")

# A tag that is blocked already keeps its time, and its reason unless another one is given.
BLOCK = text("""
    INSERT INTO tailrace.trending_blocked_tags AS b (tag, reason) VALUES (:tag, :reason)
    ON CONFLICT (tag) DO UPDATE SET reason = coalesce(excluded.reason, b.reason)
""")

UNBLOCK = text("DELETE FROM tailrace.trending_blocked_tags WHERE tag = :tag")


class NoTag(Exception):
    """The text cannot be a tag."""


class Blocked(NamedTuple):
    """A tag that is never shown."""

    tag: str
    reason: str | None
    blocked_at: datetime


def checked_tag(spelling: str) -> str:
    """The tag as it is counted. Raises ``NoTag``."""
    tag = normal_tag(spelling)
    if tag is None:
        raise NoTag(
            f"{spelling!r} is no tag: 1 to {MAX_LENGTH} characters are expected, none of them a control character"
        )
    return tag


async def blocked_tags(connection: AsyncConnection) -> frozenset[str]:
    """Every blocked tag."""
    return frozenset((await connection.execute(BLOCKED)).scalars())


async def list_blocked(connection: AsyncConnection) -> list[Blocked]:
    """Every blocked tag, with why and since when."""
    return [Blocked(row.tag, row.reason, row.blocked_at) for row in await connection.execute(LISTED)]


async def block(connection: AsyncConnection, tag: str, reason: str | None) -> None:
    """Never show the tag, on any server, from its next round on."""
    await connection.execute(BLOCK, {"tag": tag, "reason": reason})


async def unblock(connection: AsyncConnection, tag: str) -> bool:
    """Show the tag again; whether it was blocked."""
    return (await connection.execute(UNBLOCK, {"tag": tag})).rowcount > 0
