"""The files of posts that are gone for good: renditions, and the posts' own pictures and videos."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.backend import BackendTables
from streams.backend_rows import as_id_of
from streams.cleanup.batches import is_one_of
from streams.media.errors import BadMedia
from streams.media.paths import checked_key, rendition_folder
from streams.media.storage import Storage

# Keys that posts in the bin have, beside these posts.
IN_THE_BIN = sa.text("""
    SELECT DISTINCT key FROM tailrace.deleted_posts, jsonb_array_elements_text(files) AS key
     WHERE key = ANY(CAST(:keys AS text[])) AND post_id <> ALL(CAST(:posts AS text[]))
""")

# What we know of the media of posts. The files go first: a row never names a file that is not there for long.
FORGET_RENDITIONS = sa.text("DELETE FROM tailrace.media_renditions WHERE post_id = ANY(CAST(:posts AS text[]))")
FORGET_ASSETS = sa.text("DELETE FROM tailrace.media_assets WHERE post_id = ANY(CAST(:posts AS text[]))")
FORGET_LEFTOVERS = sa.text("DELETE FROM tailrace.media_leftovers WHERE folder = ANY(CAST(:folders AS text[]))")
FORGET_SCORES = sa.text("DELETE FROM tailrace.post_engagement WHERE post_id = ANY(CAST(:posts AS text[]))")


@dataclass(frozen=True)
class PostFiles:
    """Deletes files. Each deletion can be repeated: what a kill has left over goes with the next attempt."""

    engine: AsyncEngine
    backend: BackendTables
    storage: Storage

    async def delete_renditions(self, post_id: str) -> int:
        """Every file in the post's folder, whichever recipe made it; how many there were."""
        keys = [stored.key async for stored in self.storage.list(rendition_folder(post_id))]
        await self.storage.delete(keys)
        return len(keys)

    async def delete_sources(self, keys: Iterable[str], posts: Collection[str]) -> int:
        """The pictures and videos of these posts, but for those that other posts have, too; how many keys."""
        wanted = sorted({key for key in keys if _is_key(key)})
        used = await self._used_by_others(wanted, posts) if wanted else set()
        going = [key for key in wanted if key not in used]
        await self.storage.delete(going)
        return len(going)

    async def existing(self, posts: Iterable[str]) -> set[str]:
        """Those of these posts that the backend has."""
        key = self.backend.posts.c.id
        ids = [known for post in posts if (known := as_id_of(key, post)) is not None]
        async with self.engine.connect() as connection:
            found = await connection.execute(sa.select(key).where(is_one_of(key, ids)))
            return {str(post) for post in found.scalars()}

    async def _used_by_others(self, keys: list[str], posts: Collection[str]) -> set[str]:
        table = self.backend.posts.c
        used: set[str] = set()
        async with self.engine.connect() as connection:
            for column in (table.image, table.video):
                of_posts = sa.select(column, table.id).where(is_one_of(column, keys))
                used |= {key for key, post in await connection.execute(of_posts) if str(post) not in posts}
            binned = await connection.execute(IN_THE_BIN, {"keys": keys, "posts": list(posts)})
            return used | set(binned.scalars())


async def forget_rows(connection: AsyncConnection, posts: Iterable[str]) -> dict[str, int]:
    """What our tables say of the media and scores of these posts, in the caller's transaction; how many rows."""
    known = list(posts)
    values = {"posts": known, "folders": [rendition_folder(post) for post in known]}
    statements = {
        "media_renditions": FORGET_RENDITIONS,
        "media_assets": FORGET_ASSETS,
        "media_leftovers": FORGET_LEFTOVERS,
        "post_engagement": FORGET_SCORES,
    }
    return {name: (await connection.execute(statement, values)).rowcount for name, statement in statements.items()}


def _is_key(key: str) -> bool:
    """A backend may have addresses of other servers there."""
    try:
        checked_key(key)
    except BadMedia:
        return False
    return "://" not in key
