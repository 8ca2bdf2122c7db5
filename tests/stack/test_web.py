"""The server on a real database: the overview, live trends, readiness, and how it begins and ends."""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, unused_port
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas import tables
from streams.database_probe import DatabaseProbe
from streams.db import engine_for
from streams.health import Health
from streams.metrics import Metrics
from streams.settings import Settings
from streams.starting import CannotStart
from streams.trending.delta import FORMAT, Body, pack
from streams.trending.view import View
from streams.web.server import application, serve

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    made = engine_for(settings.database)
    yield made
    await made.dispose()


@pytest.fixture
def view(engine: AsyncEngine) -> View:
    return View(engine, Metrics())


@pytest.fixture
async def client(settings: Settings, engine: AsyncEngine, view: View) -> AsyncIterator[Client]:
    app = application(settings, engine, view, Health(), Metrics())
    async with TestClient(TestServer(app)) as opened:
        yield opened


async def _insert(engine: AsyncEngine, table: sa.Table, **values: object) -> None:
    async with engine.begin() as connection:
        await connection.execute(table.insert().values(**values))


async def _insert_run(engine: AsyncEngine, state: str, age: timedelta, **more: object) -> None:
    at = datetime.now(UTC) - age
    ended = {} if state == "running" else {"finished_at": at, "duration_ms": 12}
    row = {"id": uuid.uuid4(), "caused_at": at, "task": "send_welcome_email", "queue": "emails", "state": state}
    row |= {"attempt": 1, "generation": 0, "args": {"user_id": 7}, "started_at": at, "worker": "w1", **ended, **more}
    await _insert(engine, tables.task_runs, **row)


async def test_an_empty_database_is_an_overview_without_entries(client: Client) -> None:
    answer = await (await client.get("/api/v1/overview")).json()

    assert answer["outbox"] == {"due": 0, "later": 0, "set_aside": 0, "oldest_seconds": None}
    for part in ("tasks", "workers", "runs", "mails", "pictures"):
        assert answer[part] == []


async def test_the_overview_counts_runs_of_the_last_hour_and_whatever_is_open(
    client: Client, engine: AsyncEngine
) -> None:
    await _insert_run(engine, "done", timedelta(minutes=5))
    await _insert_run(engine, "done", timedelta(minutes=65))
    await _insert_run(engine, "parked", timedelta(hours=3))
    await _insert_run(engine, "running", timedelta(seconds=3))

    answer = await (await client.get("/api/v1/overview")).json()

    assert answer["tasks"] == [{"task": "send_welcome_email", "states": {"done": 1, "parked": 1, "running": 1}}]
    assert [(worker["worker"], worker["running"]) for worker in answer["workers"]] == [("w1", 1)]


async def test_the_latest_runs_come_first_with_what_they_are_of_and_why_they_ended(
    client: Client, engine: AsyncEngine
) -> None:
    await _insert_run(engine, "skipped", timedelta(minutes=2), outcome={"reason": "user 7 does not exist"})
    await _insert_run(engine, "dead", timedelta(minutes=3), error="the image is truncated")
    await _insert_run(engine, "running", timedelta(seconds=3))

    runs = (await (await client.get("/api/v1/overview")).json())["runs"]

    assert [(run["state"], run["reason"]) for run in runs] == [
        ("running", None),
        ("skipped", "user 7 does not exist"),
        ("dead", "the image is truncated"),
    ]
    assert runs[0]["args"] == {"user_id": 7}


async def test_the_outbox_tells_what_is_due_from_what_is_for_later_and_what_cannot_be_sent(
    client: Client, engine: AsyncEngine
) -> None:
    now = datetime.now(UTC)
    await _insert(engine, tables.outbox, topic="user.created", due_at=now - timedelta(seconds=30))
    await _insert(engine, tables.outbox, topic="user.created", due_at=now + timedelta(hours=1))
    await _insert(engine, tables.outbox, topic="user.created", state="set_aside", error="too large")

    outbox = (await (await client.get("/api/v1/overview")).json())["outbox"]

    assert (outbox["due"], outbox["later"], outbox["set_aside"]) == (1, 1, 1)
    assert outbox["oldest_seconds"] == pytest.approx(30, abs=10)


async def test_mails_and_pictures_are_listed_and_pictures_can_be_fetched(
    client: Client, engine: AsyncEngine, settings: Settings
) -> None:
    key = "renditions/17/abc-w320.webp"
    _write(settings.media.root / key, b"picture")
    size = {"width": 320, "height": 240, "bytes": 7, "format": "webp", "recipe": "r1"}
    for variant, name in (("w320", key), ("w640", "renditions/17/abc-w640.webp")):
        await _insert(engine, tables.media_renditions, post_id="17", source="a.jpg", variant=variant, key=name, **size)
    mail = {"template": "welcome", "user_id": "7", "cause": "7", "message_id": "<7@x>", "recipient": "ada@people.test"}
    mail |= {"subject": "Welcome, Ada", "state": "sent"}
    await _insert(engine, tables.mail_deliveries, run_id=uuid.uuid4(), attempt=1, **mail)

    answer = await (await client.get("/api/v1/overview")).json()

    assert [(sent["recipient"], sent["state"]) for sent in answer["mails"]] == [("ada@people.test", "sent")]
    assert [picture["url"] for picture in answer["pictures"]] == [f"/media/{key}"]
    assert await (await client.get(answer["pictures"][0]["url"])).read() == b"picture"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


async def test_trends_answer_what_is_stored_once_the_view_has_followed(
    client: Client, engine: AsyncEngine, view: View
) -> None:
    minute = int(datetime.now(UTC).timestamp()) // 60 - 1
    offsets = {"generation": 1, "source": "post.uploaded/0"}
    body = pack(Body({minute: {"sunset": 3, "rain": 1}}))
    columns = {"from_offset": 0, "to_offset": 4, "format": FORMAT, "newest_minute": minute, "refused": 0, "body": body}
    await _insert(engine, tables.trending_deltas, **offsets, **columns)
    counted = {"next_offset": 4, "archived_offset": 0, "counted_until": datetime.now(UTC)}
    await _insert(engine, tables.trending_sources, **offsets, **counted)

    await view.refresh()
    answer = await (await client.get("/api/v1/trends/tags?window=5m")).json()

    assert answer["tags"] == [{"tag": "sunset", "uses": 3}, {"tag": "rain", "uses": 1}]
    assert answer["complete"] is True


async def test_many_who_ask_at_once_are_served_by_one_reading(client: Client, engine: AsyncEngine) -> None:
    answers = await asyncio.gather(*(client.get("/api/v1/overview") for _ in range(20)))

    readings = {(await answer.json())["as_of"] for answer in answers}

    assert len(readings) == 1


async def test_without_the_database_the_overview_says_what_to_check(environment: dict[str, str]) -> None:
    environment["TAILRACE_DATABASE__URL"] = f"postgresql://me:hidden@127.0.0.1:{unused_port()}/app"
    settings = Settings.load(environment)
    engine = engine_for(settings.database)
    app = application(settings, engine, View(engine, Metrics()), Health(), Metrics())

    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/api/v1/overview")
        error = (await answer.json())["error"]

    assert answer.status == 503
    assert "cannot be reached; check that it runs and TAILRACE_DATABASE__URL" in error
    assert "hidden" not in error


async def test_the_probe_finds_the_database_going_and_coming(settings: Settings, engine: AsyncEngine) -> None:
    away = settings.database.model_copy(update={"url": f"postgresql://127.0.0.1:{unused_port()}/app"})
    gone = DatabaseProbe(engine_for(away), away)
    there = DatabaseProbe(engine, settings.database)

    await gone.ask()
    await there.ask()

    assert "cannot be reached" in (gone.problem() or "")
    assert there.problem() is None


async def test_serve_refuses_a_database_without_our_schema(stack: object, environment: dict[str, str]) -> None:
    url = environment["TAILRACE_DATABASE__URL"].rsplit("/", 1)[0] + "/template1"

    with pytest.raises(CannotStart, match="no schema `tailrace` yet; run `tailrace migrate`"):
        await serve(Settings.load({**environment, "TAILRACE_DATABASE__URL": url}), [])


async def test_serve_refuses_a_taken_port(environment: dict[str, str], client: Client) -> None:
    environment["TAILRACE_HTTP__PORT"] = str(client.port)

    with pytest.raises(CannotStart, match="is taken by another program; set TAILRACE_HTTP__PORT"):
        await serve(Settings.load(environment), [])


async def test_serve_answers_until_sigterm_and_then_returns(environment: dict[str, str]) -> None:
    port = unused_port()
    serving = asyncio.create_task(serve(Settings.load({**environment, "TAILRACE_HTTP__PORT": str(port)}), []))
    await _reachable(port, serving)

    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(serving, timeout=10)

    with pytest.raises(OSError, match=str(port)):
        await asyncio.open_connection("127.0.0.1", port)


async def _reachable(port: int, serving: asyncio.Task[None]) -> None:
    async with asyncio.timeout(10):
        while not serving.done():
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
    serving.result()
