"""Replays over HTTP: the same as the commands, for programs that have the token."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy.ext.asyncio import AsyncEngine

from agents import TASKS
from streams.metrics import Metrics
from streams.settings import Settings
from streams.topics import create_topics
from streams.web.middleware import new_application
from streams.web.replays import add_replays
from tests.events import runs, user_created
from tests.replays import publish

Client = TestClient[web.Request, web.Application]
TOKEN = {"Authorization": "Bearer sixteen letters long"}


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "TAILRACE_HTTP__TOKEN": "sixteen letters long"}


@pytest.fixture
async def client(settings: Settings, engine: AsyncEngine) -> AsyncIterator[Client]:
    await create_topics(settings)
    await publish(settings, [user_created(number) for number in range(3)])
    app = new_application(Metrics())
    add_replays(app, settings, engine, TASKS)
    async with TestClient(TestServer(app)) as opened:
        yield opened


async def test_a_replay_is_planned_started_shown_paused_and_cancelled(client: Client) -> None:
    asked = {"topic": "user.created", "from": "1h", "note": "why not"}

    planned = await client.post("/api/v1/replays/plan", json=asked, headers=TOKEN)
    looked = await client.post("/api/v1/replays", json={"replay": asked}, headers=TOKEN)
    nothing = await client.get("/api/v1/replays")
    started = await client.post("/api/v1/replays", json={"replay": asked, "execute": True}, headers=TOKEN)
    paused = await client.post("/api/v1/replays/1/pause", headers=TOKEN)
    cancelled = await client.post("/api/v1/replays/1/cancel", headers=TOKEN)
    shown = await client.get("/api/v1/replays/1")

    counts = {"read": 3, "events": 3, "undecodable": 0, "tasks": {"send_welcome_email": {"mail": 3}}}
    assert (await planned.json())["counts"] == counts
    assert ((await looked.json())["replay"], await nothing.json()) == (None, {"replays": []})
    assert (started.status, (await started.json())["replay"]) == (201, 1)
    assert (paused.status, cancelled.status) == (200, 200)
    found = await shown.json()
    assert (found["state"], found["note"], found["plan"]["counts"]) == ("cancelled", "why not", counts)
    assert [entry["what"] for entry in found["audit"]] == ["started", "paused", "cancelled"]


async def test_what_cannot_be_done_is_answered_with_what_to_do_and_nothing_starts(
    client: Client, engine: AsyncEngine
) -> None:
    wrong = {"replay": {"topic": "user.crated"}, "execute": True}

    answers = [
        await client.post("/api/v1/replays", json=wrong),
        await client.post("/api/v1/replays", json=wrong, headers=TOKEN),
        await client.post("/api/v1/replays", json={"execute": True}, headers=TOKEN),
        await client.post("/api/v1/replays/7/pause", headers=TOKEN),
        await client.get("/api/v1/replays/7"),
    ]

    texts = [(await answer.json())["error"] for answer in answers]
    assert [answer.status for answer in answers] == [401, 400, 400, 404, 404]
    assert "did you mean user.created?" in texts[1]
    assert '{"replay":{"topic":"user.created","from":"24h"},"execute":true}' in texts[2]
    assert texts[3] == texts[4] == "there is no replay 7; `tailrace replay status` lists them"
    assert await (await client.get("/api/v1/replays")).json() == {"replays": []}
    assert await runs(engine) == []


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"tasks": ["send_welcome_mail"]}, "(did you mean send_welcome_email?); there are send_welcome_email"),
    ({"where": "usrname == 'ada'"}, "no field 'usrname' (did you mean username?); its fields are user_id"),
    ({"from": "yesterday"}, "--from 'yesterday' is no time; write an instant such as 2026-03-04T12:00:00Z"),
    ({"from": "1h", "to": "2h"}, "is not earlier than --to"),
    ({"partitions": [9]}, "user.created has no partition 9; it has 0, 1, 2, 3"),
    ({"form": "1h"}, "unknown field `form` - at `$.replay`; a replay's fields are topic, mode, from, to, partitions"),
    ({"send_mail": True, "mail_cap": 2}, "up to 3 mails would go out and the cap is 2"),
)
"""What a program asks for, and the answer."""


async def test_what_is_wrong_is_answered_with_what_would_be_right_and_nothing_starts(client: Client) -> None:
    orders = [{"replay": {"topic": "user.created", **asked}, "execute": True} for asked, _ in WRONG]

    answers = [await client.post("/api/v1/replays", json=order, headers=TOKEN) for order in orders]

    assert [answer.status for answer in answers] == [400] * len(WRONG)
    for answer, (_, wanted) in zip(answers, WRONG, strict=True):
        assert wanted in (await answer.json())["error"]
    assert await (await client.get("/api/v1/replays")).json() == {"replays": []}
