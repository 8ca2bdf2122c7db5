"""Trends over HTTP and on the command line, on real tables."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.health import Health
from streams.metrics import Metrics
from streams.settings import Settings
from streams.trending.view import View
from streams.web.health_routes import start_site
from streams.web.server import application
from tests.processes import run
from tests.trending import Stored
from tests.waiting import eventually

TAGS = "/api/v1/trends/tags"


class Site:
    """A server whose view follows the stored counts."""

    def __init__(self, url: str, runner: web.AppRunner, session: aiohttp.ClientSession, metrics: Metrics) -> None:
        self.url, self.runner, self.session, self.metrics = url, runner, session, metrics

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.url + path) as answer:
            return answer.status, await answer.json()

    async def tags(self, query: str) -> list[str]:
        return [tag["tag"] for tag in (await self.get(f"{TAGS}?{query}"))[1]["tags"]]

    def open_streams(self) -> float:
        return self.metrics.registry.get_sample_value("tailrace_trend_streams") or 0


@pytest.fixture
async def site(settings: Settings, engine: AsyncEngine) -> AsyncIterator[Site]:
    metrics = Metrics()
    view = View(engine, metrics)
    runner, port = await start_site(application(settings, engine, view, Health(), metrics), "127.0.0.1", 0)
    following = asyncio.create_task(view.run())
    async with aiohttp.ClientSession() as session:
        yield Site(f"http://127.0.0.1:{port}", runner, session, metrics)
    following.cancel()
    await asyncio.wait([following])
    await runner.cleanup()


@pytest.fixture
def stored(engine: AsyncEngine) -> Stored:
    return Stored(engine)


async def count(stored: Stored, tags: dict[str, int]) -> None:
    now = datetime.now(UTC)
    await stored.add({int(now.timestamp()) // 60: tags}, counted_until=now)


async def lists(stream: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """The lists of a stream."""
    async for line in stream.content:
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


async def until_shown(found: AsyncIterator[dict[str, Any]], tags: list[str]) -> dict[str, Any]:
    async with asyncio.timeout(30):
        async for answer in found:
            if [tag["tag"] for tag in answer["tags"]] == tags:
                return answer
    raise AssertionError("the stream ended")


async def test_a_trending_list_explains_itself(site: Site, stored: Stored) -> None:
    await count(stored, {"sunset": 11, "rain": 5, "once": 1})

    await eventually(lambda: site.tags("rank=trending"))
    _, answer = await site.get(f"{TAGS}?window=6h&rank=trending&limit=5")

    assert (answer["rank"], answer["complete"], answer["half_life_s"]) == ("trending", True, 7200)
    sunset, rain = answer["tags"]
    assert sunset == {
        "tag": "sunset",
        "uses": 11,
        "observed": 11,
        "baseline": 1,
        "peak": 100,
        "age_s": 0,
        "score": 100,
    }
    assert (rain["tag"], rain["score"]) == ("rain", 16)


async def test_one_tag_is_answered_with_its_history(site: Site, stored: Stored) -> None:
    minute = int(datetime.now(UTC).timestamp()) // 60
    await stored.add({minute - 60 * 30: {"sunset": 3}}, counted_until=datetime.now(UTC))
    await count(stored, {"sunset": 11})
    await eventually(lambda: site.tags("rank=count"))

    status, answer = await site.get(f"{TAGS}/%23Sunset?hours=24")

    assert status == 200
    assert (answer["tag"], answer["uses"]["1h"], answer["uses"]["7d"]) == ("sunset", 11, 14)
    assert answer["trending"]["1h"]["score"] == 100
    assert len(answer["history"]) == 24
    assert sum(hour["uses"] for hour in answer["history"]) == 11
    assert (await site.get(f"{TAGS}/never"))[1]["uses"]["7d"] == 0


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (f"{TAGS}/sunset?hours=0", "hours='0' is not possible; a whole number from 1 to 336"),
        (f"{TAGS}/sunset?days=2", "parameter 'days' does not exist; there is hours"),
        (f"{TAGS}/%20%23", "' #' is no tag: 1 to 100 characters are expected, none of them a control character"),
        ("/api/v1/trends/stream?rank=new", "rank='new' is not offered; one of count, trending"),
    ],
)
async def test_what_cannot_be_answered_is_refused_with_what_can(site: Site, path: str, error: str) -> None:
    assert await site.get(path) == (400, {"error": error})


async def test_a_stream_gives_the_list_at_once_and_again_when_it_is_another_one(site: Site, stored: Stored) -> None:
    await count(stored, {"sunset": 11})

    async with site.session.get(site.url + "/api/v1/trends/stream?window=1h&rank=trending") as stream:
        found = lists(stream)
        await until_shown(found, ["sunset"])
        await count(stored, {"rain": 30})
        answer = await until_shown(found, ["rain", "sunset"])
        assert site.open_streams() == 1

    assert stream.headers["Content-Type"] == "text/event-stream"
    assert answer["rank"] == "trending"
    await eventually(lambda: site.open_streams() == 0)


async def test_streams_end_when_the_server_stops(site: Site, stored: Stored) -> None:
    async with site.session.get(site.url + "/api/v1/trends/stream") as stream:
        assert await anext(lists(stream))

        async with asyncio.timeout(2):
            await asyncio.gather(site.runner.cleanup(), stream.read())


async def test_a_tag_that_is_blocked_on_the_command_line_shows_nowhere_on_a_running_server(
    site: Site, stored: Stored, environment: dict[str, str]
) -> None:
    await count(stored, {"bad": 50, "good": 9})
    await eventually(lambda: site.tags("rank=trending"))

    blocked = await run("trends", "block", "#BAD", "--reason", "spam", environment=environment)
    listed = await run("trends", "blocked", "--json", environment=environment)
    shown = await run("trends", "show", "--rank", "trending", environment=environment)

    assert blocked[1].startswith("#bad is not shown any more"), blocked
    assert [(row["tag"], row["reason"]) for row in json.loads(listed[1])] == [("bad", "spam")]
    assert "#good" in shown[1] and "bad" not in shown[1] and "complete" in shown[1]
    assert await eventually(lambda: _is(site, "rank=trending", ["good"]), within=10)
    assert await site.tags("rank=count") == ["good"]
    status, answer = await site.get(f"{TAGS}/bad")
    assert (status, answer) == (404, {"error": "#bad is blocked: it is never shown"})


async def _is(site: Site, query: str, tags: list[str]) -> bool:
    return await site.tags(query) == tags
