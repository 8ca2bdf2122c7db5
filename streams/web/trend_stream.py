"""``GET /api/v1/trends/stream``: the top list as server-sent events, again and again as it changes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from streams.metrics import Metrics
from streams.trending.questions import as_plain, ask
from streams.trending.view import View
from streams.web.trends import question

EVERY = 1.0
"""Seconds from one list to the next."""

SILENT_AT_MOST = 15.0
"""Seconds after which a comment says that the line still stands: proxies close those that are silent."""

RETRY = b"retry: 1000\n\n"
MOST = 500
"""Streams at once of one server."""

HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Streams:
    """The streams of one server. Each is a connection that stays; all of them end when the server stops."""

    def __init__(self, view: View, metrics: Metrics) -> None:
        self._view = view
        self._metrics = metrics
        self._stopping = asyncio.Event()
        self._open = 0

    async def stop(self, _: web.Application) -> None:
        """Let every stream end: browsers then ask again, another server or this one when it is back."""
        self._stopping.set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The list that the request asks for, at once and then each second in which it is another one."""
        asked = question(request)
        if self._open >= MOST:
            raise web.HTTPServiceUnavailable(
                text=f"{MOST} streams are open, more are not served: ask /api/v1/trends/tags now and then",
                headers={"Retry-After": "30"},
            )
        response = web.StreamResponse(headers=HEADERS)
        async with self._counted():
            try:
                await response.prepare(request)
                await response.write(RETRY)
                last, silent = b"", 0.0
                while request.transport is not None and not self._stopping.is_set():
                    body = msgspec.json.encode(as_plain(ask(self._view, asked)))
                    if body != last:
                        await response.write(b"event: tags\ndata: " + body + b"\n\n")
                        last, silent = body, 0.0
                    elif silent >= SILENT_AT_MOST:
                        await response.write(b": still here\n\n")
                        silent = 0.0
                    await self._pause()
                    silent += EVERY
            except ConnectionError:
                pass  # the reader has gone, as readers do
        return response

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(EVERY):
                await self._stopping.wait()
        except TimeoutError:
            return

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self._open += 1
        self._metrics.trend_streams.set(self._open)
        try:
            yield
        finally:
            self._open -= 1
            self._metrics.trend_streams.set(self._open)


def add_trend_stream(app: web.Application, view: View, metrics: Metrics) -> None:
    """Serve the stream, until the server stops."""
    streams = Streams(view, metrics)
    app.router.add_get("/api/v1/trends/stream", streams.serve)
    app.on_shutdown.append(streams.stop)
