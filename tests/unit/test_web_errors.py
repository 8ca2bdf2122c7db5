"""Failures under /api are JSON that says what to do; none tells more than it should."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from streams.metrics import Metrics
from streams.web.middleware import new_application

Client = TestClient[web.Request, web.Application]


async def _fail(_: web.Request) -> web.Response:
    raise ZeroDivisionError("password=secret")


async def _refuse(_: web.Request) -> web.Response:
    raise web.HTTPBadRequest(text="give me a number")


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = new_application(Metrics())
    app.router.add_get("/api/v1/fail", _fail)
    app.router.add_get("/api/v1/refuse", _refuse)
    app.router.add_get("/page", _fail)
    async with TestClient(TestServer(app)) as opened:
        yield opened


async def test_an_unknown_api_path_is_404_with_the_paths_that_there_are(client: Client) -> None:
    answer = await client.get("/api/v1/nothing")

    assert answer.status == 404
    assert await answer.json() == {"error": "there is no /api/v1/nothing; there is /api/v1/fail, /api/v1/refuse"}


async def test_a_surprise_is_500_without_its_details(client: Client) -> None:
    answer = await client.get("/api/v1/fail")

    assert answer.status == 500
    assert await answer.json() == {"error": "internal error; this server's log says what happened"}


async def test_a_refusal_keeps_its_text(client: Client) -> None:
    answer = await client.get("/api/v1/refuse")

    assert answer.status == 400
    assert await answer.json() == {"error": "give me a number"}


async def test_a_wrong_method_is_405_with_the_right_one(client: Client) -> None:
    answer = await client.post("/api/v1/refuse")

    assert answer.status == 405
    assert answer.headers["Allow"] == "GET,HEAD"
    assert (await answer.json())["error"].startswith("POST is not possible here; use")


async def test_a_failure_outside_of_the_api_is_plain_text(client: Client) -> None:
    answer = await client.get("/page")

    assert answer.status == 500
    assert answer.content_type == "text/plain"


@pytest.mark.parametrize("path", ["/api/v1/fail", "/api/v1/nothing", "/nothing"])
async def test_failures_too_forbid_what_is_not_ours(client: Client, path: str) -> None:
    answer = await client.get(path)

    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
