"""Every statement on ``tailrace.media_assets`` and ``tailrace.media_renditions``; each can be repeated.

What a run writes here it writes while it holds its row of the ledger, and that is locked first everywhere: a
worker that was taken for dead changes nothing any more, and no two wait for each other.
"""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.backend import BackendTables
from streams.backend_rows import find_row
from streams.claims import Claim
from streams.ledger import hold
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

# Nobody works on it any more. Only what was begun: the run may have died before it knew that the post exists.
GIVE_UP = text("""
    UPDATE tailrace.media_assets SET status = 'failed', error = :error, updated_at = clock_timestamp()
     WHERE post_id = :post_id AND source = :source AND status <> 'ready'
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


@dataclass(frozen=True)
class Asset:
    """A file of a post: ``source`` is its key relative to the media root."""

    post_id: str
    source: str

    @property
    def key(self) -> dict[str, str]:
        return {"post_id": self.post_id, "source": self.source}


async def post_exists(engine: AsyncEngine, backend: BackendTables, post_id: int | str) -> bool:
    """Whether the backend has this post."""
    return await find_row(engine, backend.posts, post_id, backend.posts.c.id) is not None


async def show_processing(engine: AsyncEngine, claim: Claim, asset: Asset) -> None:
    """A process is at work on it. Raises ``LostClaim`` if that is no longer for this run to say."""
    await _show(engine, claim, asset, "processing", None)


async def show_queued(engine: AsyncEngine, claim: Claim, asset: Asset, reason: str) -> None:
    """It is tried again later, and why. Raises ``LostClaim`` if that is no longer for this run to say."""
    await _show(engine, claim, asset, "queued", reason)


async def _show(engine: AsyncEngine, claim: Claim, asset: Asset, status: str, error: str | None) -> None:
    async with engine.begin() as connection:
        await hold(connection, claim)
        await connection.execute(SHOW, {**asset.key, "status": status, "error": error})


async def keep_renditions(connection: AsyncConnection, claim: Claim, asset: Asset, rendered: Rendered) -> None:
    """The asset is ready, and these are its renditions. Raises ``LostClaim``."""
    await hold(connection, claim)
    size = {"width": rendered.width, "height": rendered.height}
    await connection.execute(END, {**asset.key, **size, "status": "ready", "error": None})
    for rendition in rendered.renditions:
        values = {name: getattr(rendition, name) for name in rendition.__struct_fields__}
        await connection.execute(KEEP, {**asset.key, **values})


async def keep_failure(connection: AsyncConnection, claim: Claim, asset: Asset, reason: str) -> None:
    """No renditions can be made of it. Raises ``LostClaim``."""
    await hold(connection, claim)
    values = {"status": "failed", "error": reason, "width": None, "height": None}
    await connection.execute(END, {**asset.key, **values})


async def give_up(connection: AsyncConnection, asset: Asset, reason: str) -> None:
    """The run that worked on it is dead; the caller's transaction has recorded that."""
    await connection.execute(GIVE_UP, {**asset.key, "error": reason})
