"""``POST /api/v1/events``: what is taken in is in the outbox, once; what is refused says which field and why."""

import gzip
import json
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, unused_port
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from agents import TASKS
from streams.clock import Clock
from streams.db import engine_for
from streams.metrics import Metrics
from streams.settings import Settings
from streams.web.cloud_events import BATCHED, STRUCTURED
from streams.web.events import add_events
from streams.web.middleware import new_application
from tests.events import runs, user_created
from tests.waiting import eventually
from tests.workers import running_worker

TOKEN = "correct horse battery staple"
Client = TestClient[web.Request, web.Application]


class StillClock(Clock):
    """Stands until a test moves it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


@asynccontextmanager
async def serving(
    settings: Settings, engine: AsyncEngine, clock: Clock | None = None, **http: Any
) -> AsyncIterator[Client]:
    changed = settings.model_copy(update={"http": settings.http.model_copy(update={"token": TOKEN, **http})})
    app = new_application(Metrics())
    add_events(app, changed, engine, Metrics(), clock or StillClock())
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.fixture
async def client(settings: Settings, engine: AsyncEngine) -> AsyncIterator[Client]:
    async with serving(settings, engine) as opened:
        yield opened


def event(number: int = 7, **changes: Any) -> dict[str, Any]:
    data = msgspec.to_builtins(user_created(number))
    attributes = {"specversion": "1.0", "id": f"u-{number}", "source": "/shop", "type": "user.created"}
    return {**attributes, "data": data, **changes}


async def post(
    client: Client, content: Any, content_type: str = STRUCTURED, **headers: str
) -> tuple[int, dict[str, Any]]:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    named = {"Authorization": f"Bearer {TOKEN}", "Content-Type": content_type}
    answer = await client.post("/api/v1/events", data=body, headers={**named, **headers})
    return answer.status, {**await answer.json(), "retry_after": answer.headers.get("Retry-After")}


async def outbox(engine: AsyncEngine) -> list[Any]:
    async with engine.connect() as connection:
        return list((await connection.execute(text("SELECT * FROM tailrace.outbox ORDER BY id"))).all())


async def test_an_event_is_in_the_outbox_when_it_is_answered(client: Client, engine: AsyncEngine) -> None:
    said = event(time="2026-03-04T12:00:00Z", subject="ada", datacontenttype="application/json")

    status, answer = await post(client, said, traceparent="00-a-b-01")

    (row,) = await outbox(engine)
    headers = dict(row.headers)
    assert (status, answer["accepted"]) == (202, 1)
    assert (row.topic, bytes(row.key), json.loads(row.payload)) == ("user.created", b"7", said["data"])
    assert (headers["ce_id"], headers["ce_source"], headers["traceparent"]) == ("u-7", "/shop", "00-a-b-01")


async def test_a_batch_is_taken_whole_and_a_repeat_in_it_once(client: Client, engine: AsyncEngine) -> None:
    status, answer = await post(client, [event(1), event(2), event(1)], BATCHED)

    assert (status, answer["accepted"]) == (202, 2)
    assert [bytes(row.key) for row in await outbox(engine)] == [b"1", b"2"]


async def test_an_event_that_is_posted_twice_is_one(settings: Settings, engine: AsyncEngine) -> None:
    said = event()
    async with serving(settings, engine) as client, running_worker(settings, TASKS):
        await post(client, said)
        await eventually(lambda: _ended(engine), within=30, what="the first has been dealt with")
        await post(client, said)
        await post(client, event(8))
        await eventually(lambda: _ended(engine, 2), within=30, what="the one behind the repeat has been dealt with")

    assert len(await runs(engine)) == 2


async def _ended(engine: AsyncEngine, count: int = 1) -> bool:
    return [run.state for run in await runs(engine)].count("skipped") >= count


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"specversion": "0.3"}, r"$.specversion"),
        ({"id": ""}, r"$.id"),
        ({"source": 7}, r"$.source"),
        ({"source": "a\nb"}, r"$.source"),
        ({"type": "user.renamed"}, "type: 'user.renamed' is not an event type; one of user.created"),
        ({"type": "asset.ready"}, "type: 'asset.ready' is not an event type"),
        ({"time": "noon"}, r"$.time"),
        ({"datacontenttype": "text/xml"}, "datacontenttype: 'text/xml'"),
        ({"data": {"user_id": 7}}, "data: not of the schema of user.created: Object missing required field `email`"),
        ({"data": {**event()["data"], "email": 7}}, r"$.email"),
        ({"data": {**event()["data"], "version": 2}}, r"$.version"),
        ({"data": {**event()["data"], "first_name": "a\0"}}, "data: a text has the character U+0000"),
        ({"data": {**event()["data"], "created_at": "1066-10-14T09:00:00Z"}}, "before 1970"),
    ],
)
async def test_what_is_wrong_is_refused_by_the_name_of_its_field(
    client: Client, engine: AsyncEngine, changes: dict[str, Any], message: str
) -> None:
    status, answer = await post(client, event(**changes))
    in_batch, explained = await post(client, [event(1), event(2, **changes)], BATCHED)

    assert (status, in_batch) == (400, 400)
    assert message in answer["error"]
    assert explained["error"] == "event 2 of the batch: " + answer["error"]
    assert await outbox(engine) == []


@pytest.mark.parametrize(
    ("body", "kind"), [(b"{", STRUCTURED), (b"\xff", STRUCTURED), (b"{}", BATCHED), (b"[", BATCHED)]
)
async def test_what_is_no_json_of_an_event_is_refused(client: Client, body: bytes, kind: str) -> None:
    status, answer = await post(client, body, kind)

    assert status == 400
    assert answer["error"]


@pytest.mark.parametrize("kind", ["application/json", "text/plain", STRUCTURED + "; charset=latin-1"])
async def test_another_kind_of_content_is_refused_with_what_to_send(client: Client, kind: str) -> None:
    status, answer = await post(client, event(), kind)

    assert status == 415
    assert "send" in answer["error"]


async def test_more_than_a_request_may_have_is_refused_packed_or_not(settings: Settings, engine: AsyncEngine) -> None:
    large = json.dumps(event(subject="x" * 5000)).encode()

    async with serving(settings, engine, max_body=4096) as client:
        plain = await post(client, large)
        packed = await post(client, gzip.compress(large), **{"Content-Encoding": "gzip"})
        small = await post(client, gzip.compress(json.dumps(event()).encode()), **{"Content-Encoding": "gzip"})

    assert [plain[0], packed[0], small[0]] == [413, 413, 202]
    assert "TAILRACE_HTTP__MAX_BODY" in plain[1]["error"]


async def test_data_that_no_record_can_hold_is_refused(settings: Settings, engine: AsyncEngine) -> None:
    large = event()
    large["data"]["first_name"] = "x" * 900_001

    async with serving(settings, engine, max_body=2_000_000) as client:
        status, answer = await post(client, large)

    assert status == 413
    assert "900000 are possible" in answer["error"]


async def test_who_says_too_much_is_told_when_to_come_again(settings: Settings, engine: AsyncEngine) -> None:
    clock = StillClock()
    async with serving(settings, engine, clock, events_per_second=2) as client:
        first = await post(client, [event(number) for number in range(9)], BATCHED)
        refused = await post(client, event(9))
        clock.seconds = float(refused[1]["retry_after"])
        again = await post(client, event(9))

    assert (first[0], refused[0], again[0]) == (202, 429, 202)
    assert refused[1]["retry_after"] == "3"
    assert "TAILRACE_HTTP__EVENTS_PER_SECOND" in refused[1]["error"]


async def test_without_the_token_nothing_is_taken(client: Client, engine: AsyncEngine) -> None:
    status, _ = await post(client, event(), Authorization="Bearer wrong")

    assert status == 401
    assert await outbox(engine) == []


async def test_without_the_database_the_answer_is_not_that_it_was_taken(settings: Settings) -> None:
    away = engine_for(settings.database.model_copy(update={"url": f"postgresql://127.0.0.1:{unused_port()}/app"}))

    async with serving(settings, away) as client:
        status, answer = await post(client, event())

    assert status == 503
    assert "cannot be reached" in answer["error"]


async def test_the_contract_is_served_with_the_names_of_the_deployment(client: Client, settings: Settings) -> None:
    answer = await client.get("/asyncapi.yaml")

    document = msgspec.yaml.decode(await answer.read())
    assert document["channels"]["user.created"]["address"] == settings.kafka.topic_prefix + "user.created"


async def test_the_example_of_the_guide_is_taken(client: Client, engine: AsyncEngine) -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs" / "publishing.md").read_text()
    example = re.search(r"-H 'Content-Type: (\S+)' -d (.+?)\n```", guide, re.DOTALL)
    assert example
    body = subprocess.run(["bash", "-c", f"printf %s {example[2]}"], capture_output=True, check=True).stdout

    status, answer = await post(client, body, example[1])

    assert (status, answer["accepted"]) == (202, 1)
    assert [row.topic for row in await outbox(engine)] == ["user.created"]
