"""What probes ask of a worker and of a server, and the site that answers."""

import errno

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streams.health import Health
from streams.metrics import Metrics
from streams.starting import CannotStart
from streams.web.answers import json_response


def add_health_routes(app: web.Application, health: Health, metrics: Metrics) -> None:
    """``/livez``: 200 while the loop turns. ``/readyz``: 200, or 503 with the reasons. ``/metrics``: Prometheus."""

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        problems = health.problems()
        answer = {"ready": not problems, "problems": problems}
        return json_response(answer, status=503 if problems else 200)

    async def metrics_page(_: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(metrics.registry), headers=headers)

    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics_page)


async def start_site(
    app: web.Application, host: str, port: int, *, setting: str = "TAILRACE_HTTP"
) -> tuple[web.AppRunner, int]:
    """Listen; the runner, whose ``cleanup()`` stops it, and the port (``port`` 0 takes a free one).

    Raises ``CannotStart``, which names the setting to change: ``<setting>__PORT``, or the host.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise CannotStart(_why(error, host, port, setting)) from error
    return runner, runner.addresses[0][1]


def _why(error: OSError, host: str, port: int, setting: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is taken by another program; "
            f"set {setting}__PORT to another one, or to 0 for any that is free"
        )
    return f"cannot listen on {host} port {port} ({error.strerror}); check TAILRACE_HTTP__HOST and {setting}__PORT"
