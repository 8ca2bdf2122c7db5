"""Only programs with the token change something over HTTP, and the others are told what to do."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from streams.metrics import Metrics
from streams.setting_groups import Http
from streams.web.authorization import with_token
from streams.web.middleware import new_application

TOKEN = "correct horse battery staple"


async def _change(_: web.Request) -> web.Response:
    return web.Response(text="changed")


async def ask(token: str | None, authorization: str | None) -> tuple[int, str]:
    app = new_application(Metrics())
    app.router.add_post("/api/v1/change", with_token(Http(token=token), _change))
    headers = {"Authorization": authorization} if authorization else {}
    async with TestClient(TestServer(app)) as client:
        answer = await client.post("/api/v1/change", headers=headers)
        return answer.status, await answer.text()


async def test_with_the_token_it_is_done() -> None:
    assert await ask(TOKEN, f"Bearer {TOKEN}") == (200, "changed")


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", f"Basic {TOKEN}", "Bearer täuschung"])
async def test_without_it_the_answer_says_which_header_to_send(authorization: str | None) -> None:
    status, message = await ask(TOKEN, authorization)

    assert status == 401
    assert "Authorization: Bearer" in message
    assert TOKEN not in message


async def test_where_no_token_is_set_nobody_may() -> None:
    status, message = await ask(None, "Bearer ")

    assert status == 403
    assert "set TAILRACE_HTTP__TOKEN" in message
