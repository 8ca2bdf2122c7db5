"""Every statement on ``tailrace.media_assets`` and ``tailrace.media_renditions``; each can be repeated.

What a run writes here it writes while it holds its row of the ledger, and that is locked first everywhere: a
worker that was taken for dead changes nothing any more, and no two wait for each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.backend import BackendTables
from schemas.envelope import Identity, event_headers
from schemas.events import AssetReady, Id
from streams.backend_rows import find_row
from streams.claims import Claim
from streams.db import autocommit
from streams.ledger import hold
from streams.media.jobs import Kind, Rendered
from streams.media.leftovers import leave_others
from streams.media.recipe import AVIF, VIDEO, WEBP
from streams.outbox import OutboxRow, put

READY_TOPIC, OUR_SOURCE = "asset.ready", "/tailrace"

# Show what an asset waits for. One that is ready stays so: it has all its renditions while it is made again.
SHOW = text("""
    INSERT INTO tailrace.media_assets AS asset (post_id, source, kind, status, error)
    VALUES (:post_id, :source, :kind, :status, :error)
    ON CONFLICT (post_id, source) DO UPDATE
       SET status = excluded.status, error = excluded.error, updated_at = clock_timestamp()
     WHERE asset.status <> 'ready'
""")

# How it ended, with the run that ended it.
END = text("""
    INSERT INTO tailrace.media_assets (post_id, source, kind, status, error, format, width, height, frames,
                                       duration_ms, blurhash, colour, focus_x, focus_y)
    VALUES (:post_id, :source, :kind, :status, :error, :format, :width, :height, :frames,
            :duration_ms, :blurhash, :colour, :focus_x, :focus_y)
    ON CONFLICT (post_id, source) DO UPDATE
       SET kind = excluded.kind, status = excluded.status, error = excluded.error, format = excluded.format,
           width = excluded.width, height = excluded.height, frames = excluded.frames,
           duration_ms = excluded.duration_ms, blurhash = excluded.blurhash, colour = excluded.colour,
           focus_x = excluded.focus_x, focus_y = excluded.focus_y,
           updated_at = clock_timestamp()
""")

# Whether it has been made, by the recipes of today alone.
IS_READY = text("""
    SELECT asset.status = 'ready' AND bool_and(rendition.recipe = ANY(:recipes))
      FROM tailrace.media_assets AS asset
      JOIN tailrace.media_renditions AS rendition USING (post_id, source)
     WHERE asset.post_id = :post_id AND asset.source = :source
     GROUP BY asset.status
""")

# Nobody works on it any more. Only what was begun: the run may have died before it knew that the post exists.
GIVE_UP = text("""
    UPDATE tailrace.media_assets SET status = 'failed', error = :error, updated_at = clock_timestamp()
     WHERE post_id = :post_id AND source = :source AND status <> 'ready'
""")

# Variants that today's recipes do not have.
DROP_OTHERS = text("""
    DELETE FROM tailrace.media_renditions
     WHERE post_id = :post_id AND source = :source AND NOT (variant = ANY(:variants))
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
    """A file of a post: ``source`` is its key relative to the media root, ``focus`` what a crop keeps."""

    post_id: str
    source: str
    kind: Kind = "image"
    focus: tuple[float, float] | None = None

    @property
    def key(self) -> dict[str, str]:
        return {"post_id": self.post_id, "source": self.source}


KNOWN = ("format", "width", "height", "frames", "duration_ms", "blurhash", "colour")
"""What is known of an asset that is ready."""


async def post_exists(engine: AsyncEngine, backend: BackendTables, post_id: int | str) -> bool:
    """Whether the backend has this post."""
    return await find_row(engine, backend.posts, post_id, backend.posts.c.id) is not None


async def is_ready(engine: AsyncEngine, asset: Asset) -> bool:
    """Whether all that there is of it was made by the recipes of today."""
    recipes = [encoding.name for encoding in (WEBP, AVIF)] + [VIDEO]
    async with autocommit(engine) as connection:
        return bool((await connection.execute(IS_READY, {**asset.key, "recipes": recipes})).scalar_one_or_none())


async def show_processing(engine: AsyncEngine, claim: Claim, asset: Asset) -> None:
    """A process is at work on it. Raises ``LostClaim`` if that is no longer for this run to say."""
    await _show(engine, claim, asset, "processing", None)


async def show_queued(engine: AsyncEngine, claim: Claim, asset: Asset, reason: str) -> None:
    """It is tried again later, and why. Raises ``LostClaim`` if that is no longer for this run to say."""
    await _show(engine, claim, asset, "queued", reason)


async def _show(engine: AsyncEngine, claim: Claim, asset: Asset, status: str, error: str | None) -> None:
    async with engine.begin() as connection:
        await hold(connection, claim)
        await connection.execute(SHOW, {**asset.key, "kind": asset.kind, "status": status, "error": error})


async def keep_renditions(connection: AsyncConnection, claim: Claim, asset: Asset, rendered: Rendered) -> None:
    """The asset is ready, and these are its renditions. The files of others stay for a while: pages that were loaded
    before may still show them. Raises ``LostClaim``.
    """
    await hold(connection, claim)
    known = {name: getattr(rendered, name) for name in KNOWN}
    await _end(connection, asset, {**known, "status": "ready", "error": None})
    await leave_others(connection, asset.post_id, asset.source, [made.key for made in rendered.renditions])
    variants = [rendition.variant for rendition in rendered.renditions]
    await connection.execute(DROP_OTHERS, {**asset.key, "variants": variants})
    for rendition in rendered.renditions:
        values = {name: getattr(rendition, name) for name in rendition.__struct_fields__}
        await connection.execute(KEEP, {**asset.key, **values})


async def announce(connection: AsyncConnection, post_id: Id, asset: Asset, rendered: Rendered, now: datetime) -> None:
    """Tell the backend, if and only if the caller's transaction commits."""
    fact = AssetReady(
        post_id=post_id,
        source=asset.source,
        kind=asset.kind,
        format=rendered.format,
        digest=rendered.digest,
        width=rendered.width,
        height=rendered.height,
        blurhash=rendered.blurhash,
        colour=rendered.colour,
        renditions=[*rendered.renditions],
        ready_at=now,
        duration_ms=rendered.duration_ms,
    )
    await put(
        connection,
        OutboxRow(
            topic=READY_TOPIC,
            key=str(post_id).encode(),
            payload=msgspec.json.encode(fact),
            occurred_at=now,
            headers=event_headers(Identity(OUR_SOURCE, READY_TOPIC, fact.natural_id), now),
        ),
    )


async def keep_failure(connection: AsyncConnection, claim: Claim, asset: Asset, reason: str) -> None:
    """No renditions can be made of it. Raises ``LostClaim``."""
    await hold(connection, claim)
    nothing = dict.fromkeys(KNOWN)
    await _end(connection, asset, {**nothing, "status": "failed", "error": reason})


async def _end(connection: AsyncConnection, asset: Asset, values: Mapping[str, Any]) -> None:
    focus_x, focus_y = asset.focus or (None, None)
    given = {**asset.key, "kind": asset.kind, "focus_x": focus_x, "focus_y": focus_y}
    await connection.execute(END, {**given, **values})


async def give_up(connection: AsyncConnection, asset: Asset, reason: str) -> None:
    """The run that worked on it is dead; the caller's transaction has recorded that."""
    await connection.execute(GIVE_UP, {**asset.key, "error": reason})
