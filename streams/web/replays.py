"""``/api/v1/replays``: what ``tailrace replay`` does, for programs. Whatever starts or changes one needs the token."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler
from aiokafka.errors import KafkaError
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.database_errors import DATABASE_ERRORS, explain
from streams.replay import store
from streams.replay.planning import plan_replay
from streams.replay.request import Request, UnknownReplay, WrongReplay
from streams.replay.shown import plan_facts
from streams.replay.starting import start_replay
from streams.settings import Settings
from streams.task import Task
from streams.web.answers import json_response
from streams.web.authorization import with_token

LATEST = 100


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a start: the request, and whether to execute it."""

    replay: Request
    execute: bool = False


def add_replays(app: web.Application, settings: Settings, engine: AsyncEngine, tasks: Sequence[Task]) -> None:
    """Plan, start, show, pause, resume and cancel replays."""

    async def plan(request: web.Request) -> web.Response:
        asked = await _body(request, Request)
        found = await plan_replay(settings, engine, tasks, asked, datetime.now(UTC))
        return json_response(plan_facts(found))

    async def start(request: web.Request) -> web.Response:
        order, now = await _body(request, Order), datetime.now(UTC)
        if not order.execute:
            found = await plan_replay(settings, engine, tasks, order.replay, now)
            return json_response({"replay": None, "plan": plan_facts(found)})
        number, found = await start_replay(settings, engine, tasks, order.replay, now, _who(request))
        return json_response({"replay": number, "plan": plan_facts(found)}, status=201)

    async def latest(_: web.Request) -> web.Response:
        async with engine.connect() as connection:
            return json_response({"replays": await store.list_replays(connection, LATEST)})

    async def show(request: web.Request) -> web.Response:
        async with engine.connect() as connection:
            return json_response(await store.show_replay(connection, _number(request)))

    async def change(request: web.Request) -> web.Response:
        number, what = _number(request), request.match_info["what"]
        cancelled = await store.change(engine, number, what, _who(request))
        return json_response({"replay": number, "done": what, "runs_cancelled": cancelled})

    explained = _explaining(settings)
    app.router.add_get("/api/v1/replays", explained(latest))
    app.router.add_get("/api/v1/replays/{id:[0-9]{1,9}}", explained(show))
    app.router.add_post("/api/v1/replays/plan", with_token(settings.http, explained(plan)))
    app.router.add_post("/api/v1/replays", with_token(settings.http, explained(start)))
    changes = "/api/v1/replays/{id:[0-9]{1,9}}/{what:pause|resume|cancel}"
    app.router.add_post(changes, with_token(settings.http, explained(change)))


def _explaining(settings: Settings) -> Callable[[Handler], Callable[[web.Request], Awaitable[web.StreamResponse]]]:
    """What cannot be done is answered with what to do."""

    def wrap(handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except UnknownReplay as error:
                raise web.HTTPNotFound(text=str(error)) from error
            except WrongReplay as error:
                raise web.HTTPBadRequest(text=str(error)) from error
            except KafkaError as error:
                raise web.HTTPServiceUnavailable(text=f"Kafka cannot be used: {error!r}") from error
            except DATABASE_ERRORS as error:
                raise web.HTTPServiceUnavailable(text=explain(error, settings.database)) from error

        return answer

    return wrap


async def _body(request: web.Request, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.MsgspecError as error:
        example = {"topic": "user.created", "from": "24h"}
        shown = example if kind is Request else {"replay": example, "execute": True}
        fields = ", ".join(field.encode_name for field in msgspec.structs.fields(Request))
        said = f"{error}; a replay's fields are {fields}; send e.g. {msgspec.json.encode(shown).decode()}"
        raise web.HTTPBadRequest(text=said) from error


def _number(request: web.Request) -> int:
    return int(request.match_info["id"])


def _who(request: web.Request) -> str:
    return f"a program at {request.remote}"
