"""A server on loopback is read by its own names only."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from streams.metrics import Metrics
from streams.setting_groups import Http
from streams.web.host_check import only_known_hosts
from streams.web.middleware import new_application


async def _ok(_: web.Request) -> web.Response:
    return web.Response(text="ok")


@pytest.mark.parametrize(
    ("http", "host", "status"),
    [
        (Http(), "127.0.0.1:8000", 200),
        (Http(), "localhost", 200),
        (Http(), "rebound.example:8000", 403),
        (Http(public_url="https://work.example/"), "work.example", 200),
        (Http(host="0.0.0.0"), "serve:8000", 200),
    ],
)
async def test_a_stranger_s_name_for_loopback_is_refused(http: Http, host: str, status: int) -> None:
    app = new_application(Metrics())
    app.middlewares.append(only_known_hosts(http))
    app.router.add_get("/api/v1/x", _ok)

    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/api/v1/x", headers={"Host": host})

    assert answer.status == status
