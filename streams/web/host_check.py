"""A server on loopback answers only those who mean it: no page elsewhere may read it by a name of its own making.

Against DNS rebinding, where a stranger's name is made to point at 127.0.0.1.
"""

from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from streams.setting_groups import Http

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def only_known_hosts(http: Http) -> Middleware:
    """Refuse other hosts than loopback's and that of ``http.public_url``; only where the server is on loopback."""
    known = LOOPBACK | {urlsplit(http.public_url or "").hostname}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = urlsplit(f"//{request.host}").hostname
        if http.host in LOOPBACK and host not in known:
            raise web.HTTPForbidden(
                text=f"the host {host!r} is not this server's; use http://{http.host}, or set TAILRACE_HTTP__PUBLIC_URL"
            )
        return await handler(request)

    return check
