"""``/media/renditions/...``: the renditions under the media root, and nothing else of it."""

import asyncio
from pathlib import Path

from aiohttp import web

CONTENT_TYPES = {
    ".webp": "image/webp",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".avif": "image/avif",
    ".mp4": "video/mp4",
}
"""What renditions are. Anything else in the folder, a file half written or a text, is not served."""

FOR_EVER = "public, max-age=31536000, immutable"
"""A rendition's name has its content in it: the same name is always the same file."""


def add_media(app: web.Application, media_root: Path) -> None:
    """Serve renditions; a path that leaves their folder, by dots or by a link, is 404 like one that is absent."""

    async def rendition(request: web.Request) -> web.StreamResponse:
        path = await asyncio.to_thread(rendition_file, media_root, request.match_info["path"])
        if path is None:
            raise web.HTTPNotFound(text="there is no such rendition")
        headers = {"Content-Type": CONTENT_TYPES[path.suffix], "Cache-Control": FOR_EVER}
        return web.FileResponse(path, headers=headers)

    app.router.add_get("/media/renditions/{path:.+}", rendition)


def rendition_file(media_root: Path, relative: str) -> Path | None:
    """The file of this path within ``renditions``, or None where there is none that may be served."""
    if "\0" in relative or any(part.startswith(".") for part in relative.split("/")):
        return None
    folder = (media_root / "renditions").resolve()
    try:
        path = (folder / relative).resolve()
        served = path.is_relative_to(folder) and path.suffix in CONTENT_TYPES and path.is_file()
    except (OSError, RuntimeError):  # a name too long, or links that lead to each other
        return None
    return path if served else None
