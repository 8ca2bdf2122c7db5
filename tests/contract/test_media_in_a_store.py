"""Pictures whose files are in an S3: read there, made here, written there, and served from there."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.tables import media_renditions
from streams.media.storage import storage_of
from streams.metrics import Metrics
from streams.settings import Settings
from streams.task import Done, Retry, Skip
from streams.task_settings import Media
from streams.web.media import add_media
from streams.web.middleware import new_application
from tests.object_server import Bucket, s3_bucket
from tests.one_run import Workshop, workshop
from tests.pictures import encoded, photo
from tests.uploads import asset, attempt

Client = TestClient[web.Request, web.Application]


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with s3_bucket() as made:
        yield made


@pytest.fixture
def media(settings: Settings, bucket: Bucket, tmp_path: Path) -> Media:
    """A prefix of its own for each test; the scratch folder tells whether anything was left."""
    (tmp_path / "scratch").mkdir()
    changed = {"storage": f"{bucket.url}/{tmp_path.name}", "storage_options": bucket.options}
    return settings.media.model_copy(update={**changed, "scratch": tmp_path / "scratch"})


@pytest.fixture
async def shop(settings: Settings, media: Media, engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Workshop]:
    async with workshop(settings.model_copy(update={"media": media}), engine, tmp_path) as made:
        await made.add_user(7)
        await made.add(made.backend.posts, id=7, author_id=7, image="posts/p.jpg")
        yield made


async def test_a_picture_in_the_store_becomes_renditions_in_the_store(shop: Workshop, media: Media) -> None:
    await shop.storage.put({"posts/p.jpg": encoded(photo(2000, 1000))})

    outcome = await attempt(shop)

    assert isinstance(outcome, Done)
    rows = await shop.rows(media_renditions)
    assert len(rows) == 4
    for row in rows:
        assert len(await shop.storage.get(row["key"], 1_000_000)) == row["bytes"]
    assert not (media.root / "renditions").exists()
    assert media.scratch and [list(left.rglob("[!.]*")) for left in media.scratch.iterdir()] == [[]]


async def test_a_store_that_does_not_answer_is_waited_for(
    shop: Workshop, settings: Settings, engine: AsyncEngine, media: Media, tmp_path: Path
) -> None:
    nowhere = media.storage_options | {"endpoint": "http://127.0.0.1:9"}
    changed = settings.model_copy(update={"media": media.model_copy(update={"storage_options": nowhere})})

    async with workshop(changed, engine, tmp_path) as cut_off:
        early = await attempt(cut_off)
    waiting = await asset(shop)
    await shop.storage.put({"posts/p.jpg": encoded(photo())})
    late = await attempt(shop, 2)

    assert isinstance(early, Retry) and "the storage cannot be used" in early.reason
    assert waiting["status"] == "queued" and "secret" not in waiting["error"]
    assert isinstance(late, Done)


async def test_a_large_file_in_the_store_is_not_even_read(shop: Workshop) -> None:
    await shop.storage.put({"posts/p.jpg": bytes(shop.settings.media.max_bytes + 1)})

    outcome = await attempt(shop)

    assert isinstance(outcome, Skip) and "16,000,001 bytes; at most 16,000,000" in outcome.reason


@pytest.fixture
async def client(media: Media) -> AsyncIterator[Client]:
    await storage_of(media).put({"renditions/7/v.mp4": b"0123456789", "posts/p.jpg": b"private"})
    app = new_application(Metrics())
    add_media(app, media)
    async with TestClient(TestServer(app)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("asked", "status", "body", "said"),
    [
        (None, 200, b"0123456789", None),
        ("bytes=0-", 200, b"0123456789", None),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
async def test_a_video_is_served_from_the_store_by_ranges(
    client: Client, asked: str | None, status: int, body: bytes, said: str | None
) -> None:
    answer = await client.get("/media/renditions/7/v.mp4", headers={"Range": asked} if asked else {})

    assert (answer.status, answer.headers.get("Content-Range")) == (status, said)
    if status != 416:
        assert await answer.read() == body
        assert answer.headers["Content-Type"] == "video/mp4" and answer.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("path", ["7/none.mp4", "../posts/p.jpg", "%2e%2e/posts/p.jpg", "7/.v.mp4", "7", "a//b.mp4"])
async def test_nothing_else_of_the_store_is_served(client: Client, path: str) -> None:
    answer = await client.get(f"/media/renditions/{path}")

    assert answer.status == 404
    assert b"private" not in await answer.read()


async def test_the_head_of_a_rendition_has_its_length_and_no_body(client: Client) -> None:
    answer = await client.head("/media/renditions/7/v.mp4")

    assert (answer.status, answer.headers["Content-Length"], await answer.read()) == (200, "10", b"")
