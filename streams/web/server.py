"""The whole ``tailrace serve`` process."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from aiohttp import web
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.database_errors import DATABASE_ERRORS, explain
from streams.db import autocommit, engine_for
from streams.health import Health
from streams.metrics import Metrics
from streams.migrations import NEWEST
from streams.schema_check import schema_problem, schema_version
from streams.settings import Database, Settings
from streams.trending.view import View
from streams.web.health_routes import CannotServe, add_health_routes, start_site
from streams.web.host_check import only_known_hosts
from streams.web.media import add_media
from streams.web.middleware import new_application
from streams.web.overview import Overview, add_overview
from streams.web.page_routes import add_page
from streams.web.trends import add_trends

log = structlog.get_logger(__name__)

PROBE_EVERY = timedelta(seconds=2)
PROBE_TIMEOUT = 5


async def serve(settings: Settings) -> None:
    """Answer until SIGTERM or SIGINT. Raises ``CannotServe``, which says what to do, if it cannot begin."""
    engine = engine_for(settings.database)
    try:
        with stopped_by_signals() as stopped:
            await require_schema(engine, settings.database)
            await _serve_until(stopped, settings, engine)
    finally:
        await engine.dispose()


async def _serve_until(stopped: asyncio.Event, settings: Settings, engine: AsyncEngine) -> None:
    metrics, health = Metrics(), Health()
    view = View(engine, metrics)
    probe = DatabaseProbe(engine, settings.database)
    health.add("database", probe.problem)
    health.add("trending view", view.problem)
    app = application(settings, engine, view, health, metrics)
    runner, port = await start_site(app, settings.http.host, settings.http.port)
    try:
        async with asyncio.TaskGroup() as group:
            following = [group.create_task(view.run()), group.create_task(probe.run())]
            log.info("serving", url=settings.http.public_url or f"http://{settings.http.host}:{port}/")
            await stopped.wait()
            for task in following:
                task.cancel()
    finally:
        await runner.cleanup()
    log.info("stopped serving")


def application(
    settings: Settings, engine: AsyncEngine, view: View, health: Health, metrics: Metrics
) -> web.Application:
    """Every route of the server."""
    app = new_application(metrics)
    app.middlewares.append(only_known_hosts(settings.http))
    add_page(app)
    add_trends(app, view)
    add_overview(app, Overview(engine, settings.database), health)
    add_media(app, settings.media.root)
    add_health_routes(app, health, metrics)
    return app


async def require_schema(engine: AsyncEngine, database: Database) -> None:
    """Raises ``CannotServe`` unless the database answers and has the schema of this version."""
    try:
        found = await schema_version(engine)
    except DATABASE_ERRORS as error:
        raise CannotServe(explain(error, database)) from error
    problem = schema_problem(found, NEWEST)
    if problem:
        raise CannotServe(problem)


@contextmanager
def stopped_by_signals() -> Iterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set, and inside they do nothing else."""
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        yield stopped
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


class DatabaseProbe:
    """Asks the database, again and again, whether it answers."""

    def __init__(self, engine: AsyncEngine, database: Database) -> None:
        self._engine = engine
        self._database = database
        self._problem: str | None = "has not been asked yet"

    def problem(self) -> str | None:
        """What the last question found."""
        return self._problem

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            await self.ask()
            await asyncio.sleep(PROBE_EVERY.total_seconds())

    async def ask(self) -> None:
        """Ask once, and wait for the answer at most ``PROBE_TIMEOUT`` seconds."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT), autocommit(self._engine) as connection:
                await connection.execute(text("SELECT 1"))
            self._problem = None
        except DATABASE_ERRORS as error:
            self._problem = explain(error, self._database)
