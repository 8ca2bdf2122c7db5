"""Every statement on ``tailrace.media_assets`` and ``tailrace.media_renditions``; each can be repeated."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.backend import BackendTables
from streams.backend_rows import find_row
from streams.db import autocommit
from streams.media.jobs import Rendered

# Show what an asset waits for. One that is ready stays so: it has all its renditions while it is made again.
SHOW = text("""
    INSERT INTO tailrace.media_assets AS asset (post_id, source, kind, status, error)
    VALUES (:post_id, :source, 'image', :status, :error)
    ON CONFLICT (post_id, source) DO UPDATE
       SET status = excluded.status, error = excluded.error, updated_at = clock_timestamp()
     WHERE asset.status <> 'ready'
""")

# How it ended, with the run that ended it.
END = text("""
    INSERT INTO tailrace.media_assets (post_id, source, kind, status, error, width, height)
    VALUES (:post_id, :source, 'image', :status, :error, :width, :height)
    ON CONFLICT (post_id, source) DO UPDATE
       SET status = excluded.status, error = excluded.error, width = excluded.width,
           height = excluded.height, updated_at = clock_timestamp()
""")

# One row a variant, whichever run wrote it last: the file behind the key is the same.
KEEP = text("""
    INSERT INTO tailrace.media_renditions
           (post_id, source, variant, key, width, height, bytes, format, recipe)
    VALUES (:post_id, :source, :variant, :key, :width, :height, :bytes, :format, :recipe)
    ON CONFLICT (post_id, source, variant) DO UPDATE
       SET key = excluded.key, width = excluded.width, height = excluded.height, bytes = excluded.bytes,
           format = excluded.format, recipe = excluded.recipe
""")


async def post_exists(engine: AsyncEngine, backend: BackendTables, post_id: int | str) -> bool:
    """Whether the backend has this post."""
    return await find_row(engine, backend.posts, post_id, backend.posts.c.id) is not None


async def show_processing(engine: AsyncEngine, post_id: str, source: str) -> None:
    """A process is at work on it."""
    await _show(engine, post_id, source, "processing", None)


async def show_queued(engine: AsyncEngine, post_id: str, source: str, reason: str) -> None:
    """It is tried again later, and why."""
    await _show(engine, post_id, source, "queued", reason)


async def show_failed(engine: AsyncEngine, post_id: str, source: str, reason: str) -> None:
    """The last attempt has failed, and why."""
    await _show(engine, post_id, source, "failed", reason)


async def _show(engine: AsyncEngine, post_id: str, source: str, status: str, error: str | None) -> None:
    values = {"post_id": post_id, "source": source, "status": status, "error": error}
    async with autocommit(engine) as connection:
        await connection.execute(SHOW, values)


async def keep_renditions(connection: AsyncConnection, post_id: str, source: str, rendered: Rendered) -> None:
    """The asset is ready, and these are its renditions."""
    row = {"post_id": post_id, "source": source}
    size = {"width": rendered.width, "height": rendered.height}
    await connection.execute(END, {**row, **size, "status": "ready", "error": None})
    for rendition in rendered.renditions:
        values = {name: getattr(rendition, name) for name in rendition.__struct_fields__}
        await connection.execute(KEEP, {**row, **values})


async def keep_failure(connection: AsyncConnection, post_id: str, source: str, reason: str) -> None:
    """No renditions can be made of it."""
    values = {"post_id": post_id, "source": source, "status": "failed", "error": reason}
    await connection.execute(END, {**values, "width": None, "height": None})
