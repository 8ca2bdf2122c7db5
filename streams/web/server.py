"""The whole ``tailrace serve`` process."""

import asyncio
from collections.abc import Sequence

import structlog
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.clock import Clock
from streams.database_probe import DatabaseProbe
from streams.db import engine_for
from streams.health import Health
from streams.mail.links import Links
from streams.metrics import Metrics
from streams.settings import Settings
from streams.starting import require_schema, stopped_by_signals
from streams.task import Task
from streams.trending.view import View
from streams.web.email_webhook import add_email_webhook
from streams.web.events import add_events
from streams.web.health_routes import add_health_routes, start_site
from streams.web.host_check import only_known_hosts
from streams.web.media import add_media
from streams.web.middleware import new_application
from streams.web.overview import Overview, add_overview
from streams.web.page_routes import add_page
from streams.web.replays import add_replays
from streams.web.trend_stream import add_trend_stream
from streams.web.trends import add_trends
from streams.web.unsubscribe import add_unsubscribe

log = structlog.get_logger(__name__)


async def serve(settings: Settings, tasks: Sequence[Task]) -> None:
    """Answer until SIGTERM or SIGINT. Raises ``CannotStart``, which says what to do, if it cannot begin."""
    engine = engine_for(settings.database)
    try:
        with stopped_by_signals() as stopped:
            await require_schema(engine, settings.database)
            await _serve_until(stopped, settings, engine, tasks)
    finally:
        await engine.dispose()


async def _serve_until(stopped: asyncio.Event, settings: Settings, engine: AsyncEngine, tasks: Sequence[Task]) -> None:
    metrics, health = Metrics(), Health()
    view = View(engine, metrics, half_life=settings.trending.half_life)
    probe = DatabaseProbe(engine, settings.database)
    health.add("database", probe.problem)
    health.add("trending view", view.problem)
    app = application(settings, engine, view, health, metrics)
    add_replays(app, settings, engine, tasks)
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
    add_trends(app, view, engine, settings.database)
    add_trend_stream(app, view, metrics)
    add_overview(app, Overview(engine, settings.database), health)
    add_media(app, settings.media)
    add_events(app, settings, engine, metrics, Clock())
    add_unsubscribe(app, engine, Links.of(settings))
    add_email_webhook(app, engine, settings.mail.webhook_secret, Clock().now)
    add_health_routes(app, health, metrics)
    return app
