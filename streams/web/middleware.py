"""What happens around every request: measured, and answered in JSON where it fails under /api."""

import time

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from streams.metrics import Metrics
from streams.web.answers import json_response

log = structlog.get_logger(__name__)

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""On every answer that has none of its own: no page of ours runs or loads what is no file of ours, none is framed."""

STREAM = "text/event-stream"


def new_application(metrics: Metrics) -> web.Application:
    """An application without routes whose requests are measured, and whose failures say what to do."""
    app = web.Application(middlewares=[measured(metrics), explained])
    app.on_response_prepare.append(_add_headers)
    return app


def measured(metrics: Metrics) -> Middleware:
    """Observe the time of each request by route (not by path, of which there are too many) and status.

    A stream lasts for as long as its reader likes: that says nothing of us.
    """

    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        status = 500
        response: web.StreamResponse | None = None
        try:
            response = await handler(request)
            status = response.status
            return response
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            if response is None or response.content_type != STREAM:
                elapsed = time.perf_counter() - started
                metrics.requests.labels(_route(request), str(status)).observe(elapsed)

    return measure


@web.middleware
async def explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors of the API as ``{"error": text}``; a surprise is logged in full and answered without its details."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _failure(request, error.status, _advice(request, error), error)
    except Exception:
        log.exception("request failed", method=request.method, path=request.path)
        return _failure(request, 500, "internal error; this server's log says what happened")


def _failure(
    request: web.Request, status: int, message: str, error: web.HTTPException | None = None
) -> web.StreamResponse:
    kept = ("Allow", "WWW-Authenticate", "Retry-After")
    headers = {name: error.headers[name] for name in kept if name in error.headers} if error else None
    if request.path.startswith("/api/"):
        return json_response({"error": message}, status=status, headers=headers)
    return web.Response(text=message + "\n", status=status, headers=headers)


def _advice(request: web.Request, error: web.HTTPException) -> str:
    """The handler's own text, or for a path that nobody serves, the paths that there are."""
    if error.status == 404 and _route(request) == "unmatched":
        prefix = "/api/" if request.path.startswith("/api/") else "/"
        known = sorted({r.canonical for r in request.app.router.resources() if r.canonical.startswith(prefix)})
        return f"there is no {request.path}; there is {', '.join(known)}"
    if error.status == 405:
        return f"{request.method} is not possible here; use {error.headers['Allow']}"
    return error.text or error.reason


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else "unmatched"


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)  # a page with a form has a policy of its own
