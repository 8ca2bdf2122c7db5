"""The trends API: the view's answer, and refusals that say what is allowed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from streams.db import engine_for
from streams.metrics import Metrics
from streams.setting_groups import Database
from streams.trending.view import Answer, View
from streams.web.middleware import new_application
from streams.web.trends import add_trends

Client = TestClient[web.Request, web.Application]
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


class OneAnswer:
    """A view that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def top(self, window: str, limit: int) -> Answer:
        self.asked.append((window, limit))
        return Answer(window, "count", NOON, True, NOON - timedelta(hours=1), NOON, [("sunset", 7), ("<b>", 2)])


@pytest.fixture
def view() -> OneAnswer:
    return OneAnswer()


@pytest.fixture
async def client(view: OneAnswer) -> AsyncIterator[Client]:
    app = new_application(Metrics())
    database = Database(url="postgresql://127.0.0.1:1/nowhere")
    add_trends(app, cast(View, view), engine_for(database), database)
    async with TestClient(TestServer(app)) as opened:
        yield opened


async def test_the_answer_has_everything_that_the_view_says(client: Client) -> None:
    answer = await client.get("/api/v1/trends/tags?window=1h&limit=2&rank=count")

    assert answer.status == 200
    assert await answer.json() == {
        "window": "1h",
        "rank": "count",
        "as_of": "2026-03-04T12:00:00Z",
        "complete": True,
        "from": "2026-03-04T11:00:00Z",
        "to": "2026-03-04T12:00:00Z",
        "tags": [{"tag": "sunset", "uses": 7}, {"tag": "<b>", "uses": 2}],
    }
    assert answer.headers["Cache-Control"] == "no-store"


async def test_without_parameters_it_is_the_top_ten_of_an_hour(client: Client, view: OneAnswer) -> None:
    await client.get("/api/v1/trends/tags")

    assert view.asked == [("1h", 10)]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("window=2h", "window='2h' is not offered; one of 5m, 15m, 1h, 6h, 24h, 7d"),
        ("window=", "window='' is not offered; one of 5m, 15m, 1h, 6h, 24h, 7d"),
        ("rank=magic", "rank='magic' is not offered; one of count, trending"),
        ("window=5m&rank=trending", "rank=trending compares whole hours: it goes with window=1h, 6h, 24h, not with 5m"),
        ("limit=0", "limit='0' is not possible; a whole number from 1 to 100"),
        ("limit=101", "limit='101' is not possible; a whole number from 1 to 100"),
        ("limit=-1", "limit='-1' is not possible; a whole number from 1 to 100"),
        ("limit=²", "limit='²' is not possible; a whole number from 1 to 100"),
        ("limit=" + "9" * 5000, None),
        ("windows=1h", "parameter 'windows' does not exist; there are window, limit, rank"),
        ("limit=1&limit=2", "parameter 'limit' is given more than once; give it once"),
    ],
)
async def test_a_bad_parameter_is_refused_by_name_and_value_and_with_what_is_allowed(
    client: Client, view: OneAnswer, query: str, error: str | None
) -> None:
    answer = await client.get(f"/api/v1/trends/tags?{query}")

    assert answer.status == 400
    assert view.asked == []
    assert error is None or await answer.json() == {"error": error}
