"""What runs inside the stack: preparation, the sample backend, the worker and the server, until the end."""

import asyncio
import random
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

from schemas.backend import backend_tables
from streams.db import engine_for
from streams.devstack.aot import train
from streams.devstack.children import KeptRunning, tailrace
from streams.devstack.display import Display
from streams.devstack.drain import drained
from streams.devstack.environment import for_programs
from streams.devstack.errors import DevStackError
from streams.devstack.local_http import LocalHttp
from streams.devstack.news import News
from streams.devstack.readiness import all_or_none
from streams.devstack.sample.history import create_sample
from streams.devstack.sample.traffic import Traffic
from streams.devstack.stack import Stack
from streams.devstack.summary import summarise
from streams.migrations.run import migrate
from streams.settings import Settings
from streams.topics import create_topics

HTTP_PORT, WORKER_PORT = 8000, 8001
LINK_KEY = "of a development stack and known to all"
"""Signs links in mails that nobody outside of this machine gets, the same after each start."""

DRAIN_DEADLINE = timedelta(seconds=60)
TRAIN_AFTER = timedelta(seconds=40)
TOP_EVERY = timedelta(seconds=10)


class Session:
    """``async with``: on leaving, what it has started is gone."""

    def __init__(self, stack: Stack, display: Display, port: int | None, environ: dict[str, str]) -> None:
        self._stack, self._display = stack, display
        self._wanted_port, self._environ = port, environ
        self._children: list[KeptRunning] = []
        self._background: list[asyncio.Task[None]] = []
        self._since = datetime.now(UTC)
        self._living: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Session":
        self._http_port, self._worker_port = self._choose_port(), self._stack.claims.take(WORKER_PORT)
        http = {"TAILRACE_HTTP__PORT": str(self._http_port), "TAILRACE_HTTP__PUBLIC_URL": self.address}
        ours = self._stack.environment() | http | {"TAILRACE_MAIL__SECRET": LINK_KEY}
        worker_port = {"TAILRACE_WORKER__PORT": str(self._worker_port)}
        self._environment, aside = for_programs(self._environ, ours | worker_port)
        if aside:
            self._display.line("note", f"up uses its own servers; set aside of your settings: {', '.join(aside)}")
        self._settings = Settings.load(self._environment)
        # Another worker that is started with this environment takes a port of its own.
        self._stack.announce(ours | {"TAILRACE_WORKER__PORT": "0"}, self.address)
        self._resources = AsyncExitStack()
        self._http = await self._resources.enter_async_context(LocalHttp())
        self._engine = engine_for(self._settings.database)
        self._resources.push_async_callback(self._engine.dispose)
        backend = self._settings.backend
        tables = backend_tables(backend.db_schema, backend.tables, backend.columns)
        self._traffic = Traffic(self._engine, tables, self._stack.media_root, random.Random())  # noqa: S311
        self._news = News(self._engine, tables, self._display.line)
        self._tables = tables
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await all_or_none(*(child.stop() for child in self._children))
        await self._resources.aclose()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http_port}/"

    async def prepare(self, *, with_traffic: bool) -> None:
        """Schema, topics and the sample backend, whose people begin at once."""
        self._display.step("tailrace", "creating tables and topics")
        await all_or_none(migrate(self._stack.database_url), self._create_topics())
        self._display.step("tailrace", "creating the sample backend")
        await create_sample(self._engine, self._tables, self._stack.media_root)
        if with_traffic:
            self._living = self._start(self._traffic.run(lambda message: self._display.line("error", message)))
        self._start(self._news.run())

    async def start_children(self, *, with_worker: bool) -> None:
        """The server, and the worker if wanted: ready on return, and kept running from then on."""
        # One after the other: the first mail waits for the worker, and both at once load slower than it alone.
        ports = ({"worker": self._worker_port} if with_worker else {}) | {"serve": self._http_port}
        for name, port in ports.items():
            self._display.step("tailrace", f"starting {name}")
            # Without a worker nothing is counted, and a server that has no counts is alive, not ready.
            child = self._child(name, port, "/readyz" if with_worker else "/livez")
            self._children.append(child)
            await child.start()
            self._start(child.keep())
        self._display.started()
        self._display.line("ready", f"open {self.address} in a browser, stop with Ctrl-C")
        if not with_worker:
            self._display.line("note", 'without a worker nothing is done: eval "$(tailrace env)"; tailrace worker')
        self._start(self._tell_top_tags())

    async def live(self) -> int:
        """Go on until cancelled."""
        self._start(self._make_the_next_start_faster())
        await self._watch(None)
        return 0

    async def live_for(self, duration: timedelta) -> int:
        """Go on for so long, stop the traffic, wait until all is done and print the summary; the exit code."""
        await self._watch(duration)
        self._traffic.stop()
        if self._living:
            # What it commits until then is to be done too.
            await self._living
        self._display.line("draining", "the sample backend is quiet now")
        emitted, since = self._traffic.emitted, self._since
        left = await drained(
            self._engine,
            self._settings.kafka,
            emitted,
            since,
            DRAIN_DEADLINE,
            lambda left: self._display.step("left", f"to do,{left}"),
        )
        await self._news.look()
        answer = await self._http.top_tags(self._http_port)
        firsts, traffic = self._news.firsts, self._living is not None
        summary = await summarise(self._engine, emitted, left, since, answer, firsts, with_traffic=traffic)
        self._display.show(*summary.lines())
        return 1 if summary.failures() else 0

    async def _watch(self, duration: timedelta | None) -> None:
        """Wait; an error in anything that runs beside is raised here."""
        seconds = duration.total_seconds() if duration else None
        done, _ = await asyncio.wait(self._background, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def _create_topics(self) -> None:
        await create_topics(self._settings)

    async def _make_the_next_start_faster(self) -> None:
        await asyncio.sleep(TRAIN_AFTER.total_seconds())
        try:
            await train(self._stack.cache)
        except DevStackError as error:
            self._display.line("note", f"Kafka will start no faster next time: {error}")

    async def _tell_top_tags(self) -> None:
        while True:
            await asyncio.sleep(TOP_EVERY.total_seconds())
            answer = await self._http.top_tags(self._http_port)
            if answer and answer["tags"]:
                top = ", ".join(f"#{entry['tag']} {entry['uses']}" for entry in answer["tags"])
                self._display.line("trend", top)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self._background.append(asyncio.create_task(work))
        return self._background[-1]

    def _child(self, name: str, port: int, health: str) -> KeptRunning:
        # Not temporary folders: a worker that is killed would leave them.
        own = self._stack.workers / name
        (scratch := own / "scratch").mkdir(parents=True, exist_ok=True)
        folders = {"TAILRACE_WORKER__DATA": str(own), "TAILRACE_MEDIA__SCRATCH": str(scratch)}
        program = tailrace(name, self._environment | folders, self._stack.logs)
        address = f"http://127.0.0.1:{port}{health}"
        return KeptRunning(program, address, self._http, lambda message: self._display.line("error", message))

    def _choose_port(self) -> int:
        """The port that was asked for or none; 8000 or any if none was asked for."""
        chosen = self._stack.claims.take(self._wanted_port or HTTP_PORT)
        if self._wanted_port and chosen != self._wanted_port:
            raise DevStackError(f"port {self._wanted_port} is taken by another program; give another with --port")
        return chosen
