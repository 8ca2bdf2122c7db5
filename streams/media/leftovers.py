"""Files of renditions that no row names any more: pages that were loaded before may show them for a while.

A run may make the very file again that is to be deleted, since names are made of content and recipe. So before it makes
any it puts off all deletions of its post, for longer than it can take; and files are deleted while their rows here are
locked, so that it waits for a deletion that has begun and makes the file after that.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.media.paths import RENDITIONS, rendition_folder
from streams.media.storage import Storage
from streams.media.stored import Stored

BATCH = 100
"""Files that are deleted in one transaction."""

PAGE = 500
"""Files of the storage that are looked up at a time."""

# The renditions of an asset whose place others take now.
LEAVE = text("""
    INSERT INTO tailrace.media_leftovers (key, folder)
    SELECT key, :folder FROM tailrace.media_renditions
     WHERE post_id = :post_id AND source = :source AND NOT (key = ANY(:keys))
    ON CONFLICT (key) DO UPDATE SET left_at = now()
""")

# These have rows again.
TAKE_BACK = text("DELETE FROM tailrace.media_leftovers WHERE key = ANY(:keys)")

PUT_OFF = text("UPDATE tailrace.media_leftovers SET left_at = clock_timestamp() WHERE folder = :folder")

# The oldest whose time is over, ours until COMMIT.
OVERDUE = text("""
    SELECT key FROM tailrace.media_leftovers WHERE left_at < clock_timestamp() - CAST(:keep AS interval)
     ORDER BY left_at, key LIMIT :limit FOR UPDATE SKIP LOCKED
""")
COUNT = text("""
    SELECT count(*) FROM tailrace.media_leftovers WHERE left_at < clock_timestamp() - CAST(:keep AS interval)
""")

NAMED = text("SELECT key FROM tailrace.media_renditions WHERE key = ANY(:keys)")

NOTE = text("""
    INSERT INTO tailrace.media_leftovers (key, folder)
    SELECT key, folder FROM unnest(CAST(:keys AS text[]), CAST(:folders AS text[])) AS unnamed (key, folder)
    ON CONFLICT (key) DO NOTHING
""")


async def leave_others(connection: AsyncConnection, post_id: str, source: str, keys: Sequence[str]) -> None:
    """The asset has these renditions from the caller's COMMIT on, and its other files none that names them."""
    asset = {"post_id": post_id, "source": source, "folder": rendition_folder(post_id)}
    await connection.execute(LEAVE, {**asset, "keys": list(keys)})
    await connection.execute(TAKE_BACK, {"keys": list(keys)})


async def put_off(engine: AsyncEngine, post_id: str) -> None:
    """Nothing of this post is deleted for as long as a leftover is kept from now on."""
    async with engine.begin() as connection:
        await connection.execute(PUT_OFF, {"folder": rendition_folder(post_id)})


async def count_overdue(engine: AsyncEngine, keep: timedelta) -> int:
    """How many would be deleted."""
    async with engine.connect() as connection:
        return int((await connection.execute(COUNT, {"keep": keep})).scalar_one())


async def delete_some(engine: AsyncEngine, storage: Storage, keep: timedelta) -> Counter[str] | None:
    """Delete the oldest that have been left for so long; None where there are none. One that has a row is kept."""
    async with engine.begin() as connection:
        keys = list((await connection.execute(OVERDUE, {"keep": keep, "limit": BATCH})).scalars())
        if not keys:
            return None
        named = set((await connection.execute(NAMED, {"keys": keys})).scalars())
        going = [key for key in keys if key not in named]
        await storage.delete(going)
        await connection.execute(TAKE_BACK, {"keys": keys})
    return Counter({"deleted": len(going), "named_again": len(named)})


async def note_unnamed(engine: AsyncEngine, storage: Storage, before: datetime) -> int:
    """Look through the whole storage for renditions from before then that no row names, as a run leaves that was lost
    before its COMMIT. How many are noted; their time begins now.
    """
    noted = 0
    async for page in _pages(storage):
        keys = [stored.key for stored in page if stored.modified_at < before]
        async with engine.begin() as connection:
            named = set((await connection.execute(NAMED, {"keys": keys})).scalars())
            unnamed = [key for key in keys if key not in named]
            folders = [key.rpartition("/")[0] for key in unnamed]
            noted += (await connection.execute(NOTE, {"keys": unnamed, "folders": folders})).rowcount
    return noted


async def _pages(storage: Storage) -> AsyncIterator[list[Stored]]:
    page: list[Stored] = []
    async for stored in storage.list(RENDITIONS):
        page.append(stored)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
