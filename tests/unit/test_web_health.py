"""What probes see, and the site that answers them."""

import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from streams.health import Health
from streams.metrics import Metrics
from streams.starting import CannotStart
from streams.web.health_routes import add_health_routes, start_site
from streams.web.middleware import new_application

Client = TestClient[web.Request, web.Application]


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
async def client(health: Health) -> AsyncIterator[Client]:
    metrics = Metrics()
    app = new_application(metrics)
    add_health_routes(app, health, metrics)
    async with TestClient(TestServer(app)) as opened:
        yield opened


async def test_livez_answers_while_the_loop_turns(client: Client, health: Health) -> None:
    health.add("database", lambda: "is away")

    answer = await client.get("/livez")

    assert answer.status == 200


async def test_readyz_is_200_without_problems(client: Client) -> None:
    answer = await client.get("/readyz")

    assert answer.status == 200
    assert await answer.json() == {"ready": True, "problems": {}}


async def test_readyz_is_503_with_the_reasons(client: Client, health: Health) -> None:
    health.add("database", lambda: "is away")
    health.progress("counter")

    answer = await client.get("/readyz")

    assert answer.status == 503
    assert await answer.json() == {
        "ready": False,
        "problems": {"database": "is away", "counter": "has not started yet"},
    }


async def test_metrics_have_the_requests_by_route_and_status(client: Client) -> None:
    await client.get("/readyz")
    await client.get("/wp-login.php")

    text = await (await client.get("/metrics")).text()

    assert 'tailrace_http_request_seconds_count{route="/readyz",status="200"} 1.0' in text
    assert 'tailrace_http_request_seconds_count{route="unmatched",status="404"} 1.0' in text


async def test_port_0_takes_a_free_port_and_says_which() -> None:
    runner, port = await start_site(web.Application(), "127.0.0.1", 0)

    with socket.create_connection(("127.0.0.1", port), timeout=5):
        await runner.cleanup()

    assert port > 0


async def test_a_port_that_is_taken_is_refused_with_the_setting_to_change() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(CannotStart, match=f"port {port} .* is taken .* TAILRACE_WORKER__PORT"):
            await start_site(web.Application(), "127.0.0.1", port, setting="TAILRACE_WORKER")


async def test_an_address_of_another_machine_is_refused_with_the_setting_to_change() -> None:
    with pytest.raises(CannotStart, match=r"192\.0\.2\.1.*TAILRACE_HTTP__HOST"):
        await start_site(web.Application(), "192.0.2.1", 0)
