"""Who may change something over HTTP: programs that send the token."""

import hmac

from aiohttp import web
from aiohttp.typedefs import Handler

from streams.setting_groups import Http


def with_token(http: Http, handler: Handler) -> Handler:
    """The handler, for requests with ``Authorization: Bearer`` and the token of the settings; 401 or 403 for others."""

    async def checked(request: web.Request) -> web.StreamResponse:
        _require_token(request, http.token)
        return await handler(request)

    return checked


def _require_token(request: web.Request, token: str | None) -> None:
    if token is None:
        raise web.HTTPForbidden(
            text="nobody may do this over HTTP yet: set TAILRACE_HTTP__TOKEN and start `serve` again"
        )
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise web.HTTPUnauthorized(
            text="send the header Authorization: Bearer, then the value of TAILRACE_HTTP__TOKEN",
            headers={"WWW-Authenticate": "Bearer"},
        )
