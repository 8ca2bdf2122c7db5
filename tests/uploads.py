"""A post with a picture, runs of it, and the asset that comes of it."""

from pathlib import Path
from typing import Any

from agents.process_media_upload import MediaUpload, process_media_upload
from schemas.tables import media_assets
from streams.task import Outcome
from tests.one_run import Workshop

ARGS = MediaUpload(7, "posts/p.jpg")


async def upload(shop: Workshop, content: bytes | None, image: str = "posts/p.jpg") -> Path:
    """A post with this picture; without content, its file is not there yet."""
    await shop.add_user(7)
    await shop.add(shop.backend.posts, id=7, author_id=7, image=image[:100])
    path = shop.settings.media.root / "posts" / "p.jpg"
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    return path


async def attempt(shop: Workshop, number: int = 1, args: MediaUpload = ARGS, cause: str = "1") -> Outcome:
    """One run, from claim to record."""
    return await shop.run(process_media_upload, args, attempt=number, cause=cause)


async def asset(shop: Workshop) -> dict[str, Any]:
    """The only one."""
    (row,) = await shop.rows(media_assets)
    return row
