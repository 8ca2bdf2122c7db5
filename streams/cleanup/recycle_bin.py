"""The recycle bin: posts that were deleted, with all rows that went along, until they are restored or purged."""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.backend import BackendTables
from schemas.tables_cleanup import deleted_posts
from streams.backend_rows import find_row
from streams.cleanup.foreign_keys import ForeignKey, Relation, quoted, read_foreign_keys
from streams.cleanup.table_columns import EXACT_TEXTS, Columns, literal, read_columns

# One post that goes. Its time is that of the transaction, as triggers on the backend's table see it, too.
KEEP = sa.text("""
    INSERT INTO tailrace.deleted_posts (post_id, author_id, run_id, rows, files)
    VALUES (:post_id, :author_id, :run_id, CAST(:rows AS jsonb), CAST(:files AS jsonb))
""")

# The last one of this id, ours until COMMIT.
TAKE = sa.text("""
    SELECT deleted_at, author_id, rows FROM tailrace.deleted_posts
     WHERE post_id = :post_id ORDER BY deleted_at DESC LIMIT 1 FOR UPDATE
""").columns(deleted_posts.c.deleted_at, deleted_posts.c.author_id, deleted_posts.c.rows)

EMPTY = sa.text("DELETE FROM tailrace.deleted_posts WHERE post_id = :post_id AND deleted_at = :deleted_at")

# What is in the bin, the newest first.
LIST = sa.text("""
    SELECT post_id, author_id, deleted_at, run_id, files,
           (SELECT sum(jsonb_array_length(part -> 'rows')) FROM jsonb_array_elements(rows) AS part)::int AS rows
      FROM tailrace.deleted_posts ORDER BY deleted_at DESC, post_id LIMIT :limit
""").columns(files=deleted_posts.c.files.type)


class CannotRestore(Exception):
    """The post cannot be put back as it was; the message says why, and nothing was changed."""


async def keep(
    connection: AsyncConnection, run_id: uuid.UUID, post: "sa.Row[Any]", rows: Sequence[Mapping[str, Any]]
) -> None:
    """Put a post and its rows into the bin, in the caller's transaction."""
    values = {
        "post_id": str(post.id),
        "author_id": str(post.author_id),
        "run_id": run_id,
        "rows": msgspec.json.encode(rows).decode(),
        "files": msgspec.json.encode([key for key in (post.image, post.video) if key]).decode(),
    }
    await connection.execute(KEEP, values)


async def listed(engine: AsyncEngine, limit: int) -> list[dict[str, Any]]:
    """What is in the bin, the newest first."""
    async with engine.connect() as connection:
        return [dict(row) for row in (await connection.execute(LIST, {"limit": limit})).mappings()]


async def restore(engine: AsyncEngine, backend: BackendTables, post_id: str) -> dict[str, Any]:
    """Put a post and its rows back, with their ids, and say how many of each table, and how many were left out since
    what they refer to is gone. Raises ``CannotRestore``.
    """
    async with engine.begin() as connection:
        found = (await connection.execute(TAKE, {"post_id": post_id})).first()
        if found is None:
            raise CannotRestore(f"post {post_id} is not in the recycle bin; `tailrace posts deleted` lists what is")
        if await find_row(engine, backend.posts, post_id, backend.posts.c.id) is not None:
            raise CannotRestore(f"the backend has a post {post_id}; it stays as it is")
        if await find_row(engine, backend.users, found.author_id, backend.users.c.id) is None:
            raise CannotRestore(f"its author, user {found.author_id}, is gone, and a post needs one")
        restored, left_out = await _put_back(connection, found.rows)
        await connection.execute(EMPTY, {"post_id": post_id, "deleted_at": found.deleted_at})
    return {"post_id": post_id, "deleted_at": found.deleted_at, "restored": restored, "left_out": left_out}


async def _put_back(
    connection: AsyncConnection, parts: Sequence[Mapping[str, Any]]
) -> tuple[Counter[str], Counter[str]]:
    await connection.execute(EXACT_TEXTS)
    tables = [Relation(part["schema"], part["table"]) for part in parts]
    columns, keys = await read_columns(connection, tables), await read_foreign_keys(connection)
    restored: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for table, part in zip(tables, parts, strict=True):
        rows: Sequence[Mapping[str, Any]] = part["rows"]
        _check(table, columns, rows)
        inserted = await _insert(connection, table, columns, keys, rows)
        if inserted:
            restored[str(table)] += inserted
        if inserted < len(rows):
            left_out[str(table)] += len(rows) - inserted
    first = str(tables[0])
    if first in left_out:
        raise CannotRestore(f"{first}: what the post refers to is gone, or another row has taken its place")
    return restored, left_out


def _check(table: Relation, columns: Columns, rows: Sequence[Mapping[str, Any]]) -> None:
    lost = set(rows[0]) - set(columns.types.get(table, ()))
    if lost:
        raise CannotRestore(
            f"{table} no longer has {', '.join(sorted(lost))}, as it had when the post was deleted; "
            "add what is missing, and try again"
        )


async def _insert(
    connection: AsyncConnection,
    table: Relation,
    columns: Columns,
    keys: Sequence[ForeignKey],
    rows: Sequence[Mapping[str, Any]],
) -> int:
    """How many of the rows went in: those whose other ends are there, and whose places nobody has taken."""
    names = list(rows[0])
    conditions = [_other_end(key, columns) for key in keys if key.child == table != key.parent]
    statement = sa.text(
        f"INSERT INTO {table.sql} ({', '.join(map(quoted, names))}) OVERRIDING SYSTEM VALUE "  # noqa: S608 - quoted
        f"SELECT {columns.from_texts(table, names, 'item')} FROM jsonb_array_elements(CAST(:rows AS jsonb)) AS item "
        f"WHERE {' AND '.join(['true', *conditions])} ON CONFLICT DO NOTHING"
    )
    return (await connection.execute(statement, {"rows": msgspec.json.encode(rows).decode()})).rowcount


def _other_end(key: ForeignKey, columns: Columns) -> str:
    """What the key refers to is there, or it refers to nothing."""
    pairs = list(zip(key.columns, key.parent_columns, strict=True))
    nothing = " OR ".join(f"item ->> {literal(own)} IS NULL" for own in key.columns)
    types = columns.types[key.child]
    same = " AND ".join(f"other.{quoted(there)} = (item ->> {literal(own)})::{types[own]}" for own, there in pairs)
    return f"({nothing} OR EXISTS (SELECT 1 FROM {key.parent.sql} AS other WHERE {same}))"  # noqa: S608 - quoted names
