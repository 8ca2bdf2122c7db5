"""``GET /api/v1/trends/tags`` and ``/api/v1/trends/tags/{tag}``: what is used most, and what surprises."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.database_errors import DATABASE_ERRORS, explain
from streams.setting_groups import Database
from streams.trending import history
from streams.trending.blocked import NoTag, checked_tag
from streams.trending.questions import Question, WrongQuestion, as_plain, ask, plain_trend
from streams.trending.view import View
from streams.web.answers import json_response

MAX_LIMIT = 100
DEFAULTS = {"window": "1h", "limit": "10", "rank": "count"}
PATIENCE = 5


def add_trends(app: web.Application, view: View, engine: AsyncEngine, database: Database) -> None:
    """Serve the view's answers. Unknown or bad parameters are refused with what is allowed."""

    async def tags(request: web.Request) -> web.Response:
        return json_response(as_plain(ask(view, question(request))))

    async def tag(request: web.Request) -> web.Response:
        given = parameters(request, {"hours": "168"})
        hours = whole_number("hours", given["hours"], history.LONGEST)
        try:
            asked = checked_tag(request.match_info["tag"])
        except NoTag as error:
            raise bad(str(error)) from error
        return json_response(await _one_tag(view, engine, database, asked, hours))

    app.router.add_get("/api/v1/trends/tags", tags)
    app.router.add_get("/api/v1/trends/tags/{tag}", tag)


def question(request: web.Request) -> Question:
    """The list that the request asks for. Raises ``HTTPBadRequest`` that says what is allowed."""
    given = parameters(request, DEFAULTS)
    try:
        return Question.checked(given["window"], given["rank"], whole_number("limit", given["limit"], MAX_LIMIT))
    except WrongQuestion as error:
        raise bad(str(error)) from error


async def _one_tag(view: View, engine: AsyncEngine, database: Database, tag: str, hours: int) -> dict[str, Any]:
    known = view.tag(tag)
    if known is None:
        raise web.HTTPNotFound(text=f"#{tag} is blocked: it is never shown")
    if view.generation is None:
        raise web.HTTPServiceUnavailable(text="the counts have not been read yet: ask again in a moment")
    try:
        async with asyncio.timeout(PATIENCE):
            past = await history.history(engine, view.generation, known, hours)
    except DATABASE_ERRORS as error:
        raise web.HTTPServiceUnavailable(text=explain(error, database)) from error
    return {
        "tag": tag,
        "as_of": known.as_of,
        "complete": known.complete,
        "uses": known.uses,
        "trending": {window: trend and plain_trend(trend) for window, trend in known.trends.items()},
        "half_life_s": view.half_life.total_seconds(),
        "history": [{"hour": hour.start, "uses": hour.uses} for hour in past],
    }


def parameters(request: web.Request, defaults: Mapping[str, str]) -> dict[str, str]:
    """What is given, and the defaults. Raises ``HTTPBadRequest`` for what does not exist, or is given twice."""
    for name in request.query:
        if name not in defaults:
            raise bad(f"parameter {name!r} does not exist; there {_are(defaults)}")
        if len(request.query.getall(name)) > 1:
            raise bad(f"parameter {name!r} is given more than once; give it once")
    return {**defaults, **request.query}


def whole_number(name: str, value: str, most: int) -> int:
    """The value, from 1 to ``most``. Raises ``HTTPBadRequest``."""
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= most):
        raise bad(f"{name}={value!r} is not possible; a whole number from 1 to {most}")
    return int(value)


def bad(message: str) -> web.HTTPBadRequest:
    """A refusal that says what to do."""
    return web.HTTPBadRequest(text=message)


def _are(names: Iterable[str]) -> str:
    known = list(names)
    return f"is {known[0]}" if len(known) == 1 else f"are {', '.join(known)}"
