"""``POST /api/v1/events``: events from programs that reach neither the database nor Kafka."""

import math

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.asyncapi import asyncapi_document
from schemas.export import as_yaml
from streams.clock import Clock
from streams.database_errors import DATABASE_ERRORS, explain
from streams.metrics import Metrics
from streams.outbox import OutboxRow, put_all
from streams.settings import Settings
from streams.version import application_version
from streams.web.answers import json_response
from streams.web.authorization import with_token
from streams.web.cloud_events import BATCHED, STRUCTURED, InvalidCloudEvent, TooLarge, rows_of
from streams.web.rate_limit import TokenBucket


def add_events(app: web.Application, settings: Settings, engine: AsyncEngine, metrics: Metrics, clock: Clock) -> None:
    """Take events in: 202 when they are in the outbox, all or none. ``/asyncapi.yaml`` says what they are."""
    bucket = TokenBucket(settings.http.events_per_second, clock.monotonic)

    async def take(request: web.Request) -> web.Response:
        content_type = _content_type(request)
        _require_room(bucket)
        body = await _body(request, settings.http.max_body)
        try:
            rows = rows_of(body, content_type, request.headers.get("traceparent"))
        except InvalidCloudEvent as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        except TooLarge as error:
            raise _too_large(str(error)) from error
        bucket.take(max(1, len(rows)))
        await _store(rows)
        for row in rows:
            metrics.events_taken.labels(row.topic).inc()
        return json_response({"accepted": len(rows)}, status=202)

    async def _store(rows: list[OutboxRow]) -> None:
        try:
            async with engine.begin() as connection:
                await put_all(connection, rows)
        except DATABASE_ERRORS as error:
            raise web.HTTPServiceUnavailable(text=explain(error, settings.database)) from error

    async def contract(_: web.Request) -> web.Response:
        document = asyncapi_document(application_version(), topic_prefix=settings.kafka.topic_prefix)
        return web.Response(text=as_yaml(document), content_type="application/yaml")

    app.router.add_post("/api/v1/events", with_token(settings.http, take))
    app.router.add_get("/asyncapi.yaml", contract)


def _content_type(request: web.Request) -> str:
    if request.content_type not in (STRUCTURED, BATCHED):
        raise web.HTTPUnsupportedMediaType(
            text=f"Content-Type {request.content_type!r} is not possible; send {STRUCTURED}, or {BATCHED}"
        )
    if (request.charset or "utf-8").lower() != "utf-8":
        raise web.HTTPUnsupportedMediaType(text=f"charset={request.charset} is not possible; send UTF-8")
    return request.content_type


def _require_room(bucket: TokenBucket) -> None:
    if seconds := bucket.wait():
        raise web.HTTPTooManyRequests(
            text="more events than TAILRACE_HTTP__EVENTS_PER_SECOND allows; send these again after Retry-After seconds",
            headers={"Retry-After": str(math.ceil(seconds))},
        )


async def _body(request: web.Request, limit: int) -> bytes:
    """The body, after decompression; it is not read further than ``limit``."""
    body = bytearray()
    async for chunk in request.content.iter_chunked(65_536):
        body += chunk
        if len(body) > limit:
            raise _too_large(f"a body may have {limit} bytes (TAILRACE_HTTP__MAX_BODY); send fewer events at once")
    return bytes(body)


def _too_large(message: str) -> web.HTTPException:
    error = web.HTTPRequestEntityTooLarge(max_size=0, actual_size=0)
    error.text = message
    return error
