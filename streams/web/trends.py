"""``GET /api/v1/trends/tags``: the top tags of a window, from the view's memory."""

from collections.abc import Iterable

from aiohttp import web

from streams.trending.view import WINDOWS, View
from streams.web.answers import json_response

MAX_LIMIT = 100
RANKS = ("count",)
DEFAULTS = {"window": "1h", "limit": "10", "rank": "count"}


def add_trends(app: web.Application, view: View) -> None:
    """Serve the view's answers. Unknown or bad parameters are refused with what is allowed."""

    async def tags(request: web.Request) -> web.Response:
        given = _parameters(request)
        window = _one_of("window", given["window"], WINDOWS)
        rank = _one_of("rank", given["rank"], RANKS)
        answer = view.top(window, _limit(given["limit"]))
        return json_response(
            {
                "window": window,
                "rank": rank,
                "as_of": answer.as_of,
                "complete": answer.complete,
                "from": answer.start,
                "to": answer.end,
                "tags": [{"tag": tag, "uses": uses} for tag, uses in answer.tags],
            }
        )

    app.router.add_get("/api/v1/trends/tags", tags)


def _parameters(request: web.Request) -> dict[str, str]:
    for name in request.query:
        if name not in DEFAULTS:
            raise _bad(f"parameter {name!r} does not exist; there are {', '.join(DEFAULTS)}")
        if len(request.query.getall(name)) > 1:
            raise _bad(f"parameter {name!r} is given more than once; give it once")
    return {**DEFAULTS, **request.query}


def _one_of(name: str, value: str, allowed: Iterable[str]) -> str:
    choices = list(allowed)
    if value not in choices:
        raise _bad(f"{name}={value!r} is not offered; one of {', '.join(choices)}")
    return value


def _limit(value: str) -> int:
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= MAX_LIMIT):
        raise _bad(f"limit={value!r} is not possible; a whole number from 1 to {MAX_LIMIT}")
    return int(value)


def _bad(message: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=message)
