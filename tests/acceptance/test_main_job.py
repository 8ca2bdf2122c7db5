"""The main job as a user runs it: a backend that says events, `tailrace worker`, `tailrace serve`."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.topics import TRENDING_TOPICS
from streams.devstack.stack import Stack
from streams.settings import Settings
from tests.backend import photo, sign_up, upload
from tests.events import records_of
from tests.processes import run, running
from tests.recount import recount
from tests.waiting import eventually

VARIANTS = {"thumb150", "w320", "w640", "w1080"}


@pytest.fixture(autouse=True)
async def topics(environment: dict[str, str]) -> None:
    code, _, errors = await run("migrate", environment=environment)
    assert code == 0, errors


async def rows(engine: AsyncEngine, query: str) -> list[Any]:
    async with engine.connect() as connection:
        return list((await connection.execute(text(query))).all())


async def all_done(engine: AsyncEngine, users: int, posts: int) -> bool:
    """Whether every user was greeted and every picture rendered."""
    found = await rows(engine, "SELECT task, state, count(*) FROM tailrace.task_runs GROUP BY 1, 2")
    wanted = [("process_media_upload", "done", posts), ("send_welcome_email", "done", users)]
    return sorted(tuple(row) for row in found) == wanted


async def test_a_user_is_greeted_a_photo_rendered_and_a_tag_seen(
    environment: dict[str, str], settings: Settings, engine: AsyncEngine, stack: Stack, tmp_path: Path
) -> None:
    image = photo(settings.media.root, "posts/sunset.jpg")
    async with running("worker", environment, tmp_path) as worker, running("serve", environment, tmp_path) as server:
        user = await sign_up(engine, 1)
        post = await upload(engine, user, image, ["Sunset", "#sea"])
        await eventually(lambda: all_done(engine, 1, 1))
        trends = await eventually(lambda: _trends(server, 2))
        _, metrics = await worker.get("/metrics")

    mail = stack.smtp.mails()[-1]
    assert {part.get_content_type() for part in mail.walk()} == {"multipart/alternative", "text/plain", "text/html"}
    assert "user1" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    renditions = await rows(engine, f"SELECT * FROM tailrace.media_renditions WHERE post_id = '{post}'")
    assert {row.variant: (row.width, row.height) for row in renditions} == {
        "w1080": (1080, 748), "w640": (640, 443), "w320": (320, 222), "thumb150": (150, 150),
    }  # fmt: skip
    assert all((settings.media.root / row.key).stat().st_size == row.bytes for row in renditions)
    assert trends["tags"] == [{"tag": "sea", "uses": 1}, {"tag": "sunset", "uses": 1}]
    assert trends["complete"] is True
    assert "tailrace_conservation_error 0.0" in metrics


async def _trends(server: Any, tags: int) -> Any:
    status, answer = await server.get("/api/v1/trends/tags?window=1h&limit=10")
    return answer if status == 200 and len(answer["tags"]) == tags and answer["complete"] else None


@pytest.mark.timeout(240)
async def test_after_a_kill_in_mid_stream_nothing_is_lost_and_nothing_done_twice(
    environment: dict[str, str], settings: Settings, engine: AsyncEngine, stack: Stack, tmp_path: Path
) -> None:
    users, posts, rng = 1200, 800, random.Random(5)
    images = [photo(settings.media.root, f"posts/{number}.jpg", (400, 300)) for number in range(5)]
    before = len(stack.smtp.mails())

    async with running("worker", environment, tmp_path) as worker:
        feed = asyncio.create_task(_feed(engine, users, posts, images, rng))
        await eventually(lambda: _some_done(engine, 250), within=60)
        await worker.child.kill()
    async with running("worker", environment, tmp_path), running("serve", environment, tmp_path) as server:
        await feed
        await eventually(lambda: all_done(engine, users, posts), within=150)
        answer = await eventually(lambda: _matches(server, settings, engine))

    mails = stack.smtp.mails()[before:]
    (doubts,) = await rows(engine, "SELECT sum(uncertain) AS mails FROM tailrace.mail_deliveries")
    ids = Counter(mail["Message-ID"] for mail in mails)
    assert len(ids) == len({mail["To"] for mail in mails}) == users
    assert ids.total() - users <= doubts.mails
    variants = await rows(
        engine, "SELECT post_id, array_agg(variant) AS made FROM tailrace.media_renditions GROUP BY 1"
    )
    assert len(variants) == posts
    assert all(set(row.made) == VARIANTS for row in variants)
    assert answer


async def _feed(engine: AsyncEngine, users: int, posts: int, images: list[str], rng: random.Random) -> None:
    authors = [await sign_up(engine, number) for number in range(users)]
    for _ in range(posts):
        tags = [f"tag{min(int(rng.paretovariate(0.8)), 40)}" for _ in range(rng.randrange(4))]
        await upload(engine, rng.choice(authors[:80]), rng.choice(images), tags)


async def _some_done(engine: AsyncEngine, wanted: int) -> bool:
    (row,) = await rows(engine, "SELECT count(*) AS done FROM tailrace.task_runs WHERE state = 'done'")
    return int(row.done) >= wanted


async def _matches(server: Any, settings: Settings, engine: AsyncEngine) -> bool:
    """Whether the answer of the server equals a recount of the topics (and both are of the same minute)."""
    minute = int(datetime.now(UTC).timestamp()) // 60
    total: Counter[str] = Counter()
    for topic in TRENDING_TOPICS:
        records = await records_of(settings, topic)
        for partition in {record.partition for record in records}:
            own = [record for record in records if record.partition == partition]
            for when, tags in recount(own, settings.trending.block, ()).items():
                total.update(tags if minute - 60 < when <= minute else {})
    _, answer = await server.get("/api/v1/trends/tags?window=1h&limit=100")
    return bool(answer["complete"] and {tag["tag"]: tag["uses"] for tag in answer["tags"]} == total)
