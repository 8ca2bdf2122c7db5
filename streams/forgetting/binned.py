"""What the recycle bin has of a user: own posts, and rows of others' posts that name the user."""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.backend import BackendTables
from schemas.tables_cleanup import deleted_posts
from streams.cleanup.foreign_keys import Relation, read_foreign_keys, relation_of

OWN = sa.text("SELECT post_id FROM tailrace.deleted_posts WHERE author_id = :user")

# Where the id stands as the text of any column; which column that is, is looked at then.
MENTIONING = sa.text("""
    SELECT post_id, deleted_at, rows FROM tailrace.deleted_posts
     WHERE author_id <> :user AND rows::text LIKE '%"' || replace(:user, '_', '\\_') || '"%' FOR UPDATE
""").columns(deleted_posts.c.post_id, deleted_posts.c.deleted_at, deleted_posts.c.rows)

WITHOUT = sa.text("""
    UPDATE tailrace.deleted_posts SET rows = CAST(:rows AS jsonb)
     WHERE post_id = :post_id AND deleted_at = :deleted_at
""")


async def own_posts(connection: AsyncConnection, user_id: str) -> list[str]:
    """The user's posts in the bin."""
    return list((await connection.execute(OWN, {"user": user_id})).scalars())


async def erase_mentions(connection: AsyncConnection, backend: BackendTables, user_id: str) -> int:
    """How many rows that refer to the user were taken out of others' posts in the bin. A restored post lacks them."""
    users = relation_of(backend.users)
    keys = [key for key in await read_foreign_keys(connection) if key.parent == users and len(key.columns) == 1]
    columns = {(key.child, key.columns[0]) for key in keys}
    erased = 0
    for post in (await connection.execute(MENTIONING, {"user": user_id})).all():
        kept, gone = _without(post.rows, columns, user_id)
        if gone:
            erased += gone
            values = {"post_id": post.post_id, "deleted_at": post.deleted_at}
            await connection.execute(WITHOUT, {**values, "rows": msgspec.json.encode(kept).decode()})
    return erased


def _without(
    parts: list[dict[str, Any]], columns: set[tuple[Relation, str]], user_id: str
) -> tuple[list[dict[str, Any]], int]:
    kept, gone = [], 0
    for part in parts:
        table = Relation(part["schema"], part["table"])
        names = [column for child, column in columns if child == table]
        rows = [row for row in part["rows"] if all(row.get(name) != user_id for name in names)]
        gone += len(part["rows"]) - len(rows)
        if rows:
            kept.append({**part, "rows": rows})
    return kept, gone
