"""Empties the recycle bin of posts whose time is over: their files first, then all that our tables say of them."""

from collections import Counter
from datetime import datetime

import sqlalchemy as sa

from schemas.tables_cleanup import deleted_posts
from streams.cleanup.batches import still_ours
from streams.cleanup.post_files import PostFiles, forget_rows
from streams.task import Context

POSTS = 100

# The oldest of the bin, past their time.
OVERDUE = sa.text("""
    SELECT post_id, deleted_at, files FROM tailrace.deleted_posts
     WHERE deleted_at < :before ORDER BY deleted_at, post_id LIMIT :limit
""").columns(deleted_posts.c.post_id, deleted_posts.c.deleted_at, deleted_posts.c.files)

PURGE = sa.text("""
    DELETE FROM tailrace.deleted_posts
     USING unnest(CAST(:posts AS text[]), CAST(:times AS timestamptz[])) AS these (post_id, deleted_at)
     WHERE deleted_posts.post_id = these.post_id AND deleted_posts.deleted_at = these.deleted_at
""")

OVERDUE_COUNT = sa.text("SELECT count(*) FROM tailrace.deleted_posts WHERE deleted_at < :before")


async def count_overdue(ctx: Context, before: datetime) -> int:
    """How many posts a purge would purge."""
    async with ctx.engine.connect() as connection:
        return int((await connection.execute(OVERDUE_COUNT, {"before": before})).scalar_one())


async def purge(ctx: Context, before: datetime) -> Counter[str]:
    """Posts deleted before then are gone for good; how many, and their files. Raises ``LostClaim``."""
    files, counts = PostFiles(ctx.engine, ctx.backend, ctx.storage), Counter({"purged": 0, "files": 0})
    while True:
        await still_ours(ctx.engine, ctx.claim)
        async with ctx.engine.connect() as connection:
            batch = (await connection.execute(OVERDUE, {"before": before, "limit": POSTS})).all()
        if not batch:
            return counts
        posts = [row.post_id for row in batch]
        # An id that the backend has given to another post since then: what we have of it is the other's.
        gone = sorted(set(posts) - await files.existing(posts))
        counts["files"] += await files.delete_sources((key for row in batch for key in row.files), gone)
        for post in gone:
            counts["files"] += await files.delete_renditions(post)
        async with ctx.engine.begin() as connection:
            await forget_rows(connection, gone)
            times = [row.deleted_at for row in batch]
            counts["purged"] += (await connection.execute(PURGE, {"posts": posts, "times": times})).rowcount
