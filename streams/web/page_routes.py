"""The page at ``/``: a few files without framework, build step or anything from elsewhere."""

from importlib import resources

from aiohttp import web
from aiohttp.typedefs import Handler

FILES = {
    "/": ("index.html", "text/html"),
    "/page/style.css": ("style.css", "text/css"),
    "/page/icon.svg": ("icon.svg", "image/svg+xml"),
    "/page/app.js": ("app.js", "text/javascript"),
    "/page/dom.js": ("dom.js", "text/javascript"),
    "/page/trends.js": ("trends.js", "text/javascript"),
    "/page/overview.js": ("overview.js", "text/javascript"),
}
"""Path -> file in ``streams/web/page`` and its type."""


def add_page(app: web.Application) -> None:
    """Serve the page's files as they were at start."""
    folder = resources.files("streams.web") / "page"
    for path, (name, content_type) in FILES.items():
        app.router.add_get(path, _file((folder / name).read_bytes(), content_type))


def _file(body: bytes, content_type: str) -> Handler:
    async def send(_: web.Request) -> web.Response:
        headers = {"Cache-Control": "no-cache"}
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)

    return send
