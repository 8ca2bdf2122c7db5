"""``/media/renditions/...``: the renditions in the storage, and nothing else of it."""

import asyncio
from pathlib import Path, PurePosixPath

from aiohttp import web
from aiohttp.typedefs import Handler

from streams.media.errors import BadMedia, MissingMedia, StorageFailed
from streams.media.object_store import ObjectStore
from streams.media.storage import storage_of
from streams.task_settings import Media

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


def add_media(app: web.Application, media: Media) -> None:
    """Serve renditions; a path that leaves their folder, by dots or by a link, is 404 like one that is absent."""
    storage = storage_of(media)
    handler = from_store(storage) if isinstance(storage, ObjectStore) else from_folder(media.root)
    app.router.add_get("/media/renditions/{path:.+}", handler)


def from_folder(media_root: Path) -> Handler:
    """By the kernel, from file to socket."""

    async def rendition(request: web.Request) -> web.StreamResponse:
        path = await asyncio.to_thread(rendition_file, media_root, request.match_info["path"])
        if path is None:
            raise web.HTTPNotFound(text="there is no such rendition")
        return web.FileResponse(path, headers=_headers(path.suffix))

    return rendition


def from_store(store: ObjectStore) -> Handler:
    """Piece by piece, so that a video is never in memory; a range of it where one is asked for."""

    async def rendition(request: web.Request) -> web.StreamResponse:
        key = rendition_key(request.match_info["path"])
        if key is None:
            raise web.HTTPNotFound(text="there is no such rendition")
        try:
            size = await store.size(key)
        except (BadMedia, MissingMedia):
            raise web.HTTPNotFound(text="there is no such rendition") from None
        except StorageFailed as error:
            raise web.HTTPBadGateway(text=f"{error}; check TAILRACE_MEDIA__STORAGE and its options") from error
        start, end = _range(request, size)
        if start >= end:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
        response = _head(key, start, end, size)
        await response.prepare(request)
        if request.method != "HEAD":
            async for piece in store.read(key, start, end):
                await response.write(piece)
        return response

    return rendition


def rendition_key(relative: str) -> str | None:
    """The key of this path within ``renditions``, or None where it leads elsewhere or to what is not served."""
    path = PurePosixPath(relative)
    hidden = any(part.startswith(".") for part in relative.split("/"))
    if "\0" in relative or hidden or relative.startswith("/") or path.suffix not in CONTENT_TYPES:
        return None
    return f"renditions/{relative}"


def rendition_file(media_root: Path, relative: str) -> Path | None:
    """The file of this path within ``renditions``, or None where there is none that may be served."""
    if rendition_key(relative) is None:
        return None
    folder = (media_root / "renditions").resolve()
    try:
        path = (folder / relative).resolve()
        served = path.is_relative_to(folder) and path.suffix in CONTENT_TYPES and path.is_file()
    except (OSError, RuntimeError):  # a name too long, or links that lead to each other
        return None
    return path if served else None


def _headers(suffix: str) -> dict[str, str]:
    return {"Content-Type": CONTENT_TYPES[suffix], "Cache-Control": FOR_EVER}


def _range(request: web.Request, size: int) -> tuple[int, int]:
    """What is asked for, from and to before."""
    try:
        start, end, _ = request.http_range.indices(size)
    except ValueError:
        start, end = 0, size  # a range that cannot be read is none. Source: RFC 9110, section 14.2
    return start, end


def _head(key: str, start: int, end: int, size: int) -> web.StreamResponse:
    partial = end - start < size
    response = web.StreamResponse(status=206 if partial else 200, headers=_headers(PurePosixPath(key).suffix))
    response.headers["Accept-Ranges"] = "bytes"
    response.content_length = end - start
    if partial:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return response
