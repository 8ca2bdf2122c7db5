"""Renditions and their rows, and what becomes of uploads that are no good."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from agents.process_media_upload import MediaUpload, process_media_upload
from schemas.events import PostUploaded
from schemas.tables import media_assets, media_renditions
from streams.media.renderer import Renderer
from streams.task import Done, Outcome, Retry, Skip
from tests.one_run import Workshop
from tests.pictures import bomb, encoded, photo, with_metadata

ARGS = MediaUpload(7, "posts/p.jpg")


async def upload(shop: Workshop, content: bytes | None, image: str = ARGS.image) -> Path:
    """A post with this picture; without content, its file is not there yet."""
    await shop.add_user(7)
    await shop.add(shop.backend.posts, id=7, author_id=7, image=image[:100])
    path = shop.settings.media.root / "posts" / "p.jpg"
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    return path


async def attempt(shop: Workshop, number: int = 1, args: MediaUpload = ARGS, cause: str = "1") -> Outcome:
    return await shop.run(process_media_upload, args, attempt=number, cause=cause)


async def asset(shop: Workshop) -> dict[str, Any]:
    (row,) = await shop.rows(media_assets)
    return row


async def test_a_photo_becomes_four_files_with_a_row_each(shop: Workshop) -> None:
    await upload(shop, with_metadata(6, photo(4000, 3000)))

    outcome = await attempt(shop)

    row = await asset(shop)
    assert (row["post_id"], row["source"], row["kind"], row["status"]) == ("7", ARGS.image, "image", "ready")
    assert (row["width"], row["height"], row["error"]) == (3000, 4000, None)
    rows = await shop.rows(media_renditions)
    sizes = {row["variant"]: (row["width"], row["height"]) for row in rows}
    assert sizes == {"w1080": (1080, 1440), "w640": (640, 853), "w320": (320, 427), "thumb150": (150, 150)}
    for row in rows:
        file = shop.settings.media.root / row["key"]
        assert (row["format"], row["recipe"], row["bytes"]) == ("webp", "webp-1", file.stat().st_size)
        assert Image.open(file).size == (row["width"], row["height"])
    total = sum(row["bytes"] for row in rows)
    assert isinstance(outcome, Done) and outcome.result == {"renditions": 4, "bytes": total}


def test_a_post_without_a_picture_orders_nothing() -> None:
    fields: dict[str, Any] = {"post_id": 7, "author_id": 7, "created_at": datetime.now(UTC), "visibility": "public"}
    args_of = process_media_upload.args_of
    assert args_of

    assert args_of(PostUploaded(**fields)) is None
    assert args_of(PostUploaded(**fields, image="")) is None
    assert args_of(PostUploaded(**fields, video="v.mp4")) is None
    assert args_of(PostUploaded(**fields, image="p.jpg", video="v.mp4")) == MediaUpload(7, "p.jpg")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (encoded(photo())[:2000], "the JPEG cannot be decoded"),
        (bomb(), "3,600,000,000 pixels; at most 25,000,000"),
        (b"\xff\xd8\xff" + bytes(16_000_000), "16,000,003 bytes; at most 16,000,000"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"#!/bin/sh\n", "no JPEG, PNG, GIF or WebP"),
    ],
    ids=["empty", "truncated", "bomb", "large", "svg", "script"],
)
async def test_bad_content_is_skipped_and_its_asset_marked_failed(shop: Workshop, content: bytes, reason: str) -> None:
    await upload(shop, content)

    outcome = await attempt(shop)

    assert isinstance(outcome, Skip) and reason in outcome.reason
    row = await asset(shop)
    assert (row["status"], row["error"]) == ("failed", outcome.reason)
    assert await shop.rows(media_renditions) == []
    assert not (shop.settings.media.root / "renditions").exists()


@pytest.mark.parametrize("key", ["../outside.jpg", "/etc/passwd", "posts/../../outside.jpg", "posts/link.jpg"])
async def test_a_path_out_of_the_media_root_is_skipped_and_marked_failed(shop: Workshop, key: str) -> None:
    photo_path = await upload(shop, encoded(photo()))
    outside = shop.settings.media.root.parent / "outside.jpg"
    outside.write_bytes(encoded(photo()))
    (photo_path.parent / "link.jpg").symlink_to(outside)

    outcome = await attempt(shop, args=MediaUpload(7, key))

    assert isinstance(outcome, Skip) and "outside the media root" in outcome.reason
    assert (await asset(shop))["status"] == "failed"


async def test_a_file_that_comes_later_is_waited_for(shop: Workshop) -> None:
    path = await upload(shop, None)

    early = await attempt(shop)
    waiting = await asset(shop)
    path.write_bytes(encoded(photo()))
    late = await attempt(shop, 2)

    assert early == Retry("'posts/p.jpg' does not exist under the media root")
    assert (waiting["status"], waiting["error"]) == ("queued", early.reason)
    assert isinstance(late, Done)
    assert ((await asset(shop))["status"], (await asset(shop))["error"]) == ("ready", None)


async def test_a_file_that_never_comes_ends_as_failed(shop: Workshop) -> None:
    await upload(shop, None)

    for number in range(1, process_media_upload.retry.max_attempts + 1):
        await attempt(shop, number)

    row = await asset(shop)
    assert (row["status"], row["error"]) == ("failed", "'posts/p.jpg' does not exist under the media root")


async def test_a_decode_out_of_time_is_the_contents_fault(shop: Workshop) -> None:
    await upload(shop, encoded(Image.new("L", (5000, 5000)), "PNG", compress_level=1))
    impatient = shop.settings.media.model_copy(update={"timeout": timedelta(milliseconds=5)})
    renderer = Renderer(impatient)

    outcome = await attempt(replace(shop, renderer=renderer))
    await renderer.close()

    assert isinstance(outcome, Skip) and "not decoded within 5ms" in outcome.reason
    assert (await asset(shop))["status"] == "failed"


async def test_a_fault_of_the_machine_is_tried_again(shop: Workshop) -> None:
    await upload(shop, encoded(photo()))
    (shop.settings.media.root / "renditions").write_bytes(b"in the way")

    outcome = await attempt(shop)

    assert isinstance(outcome, Retry) and "could not be read or written" in outcome.reason
    assert (await asset(shop))["status"] == "queued"


async def test_an_asset_that_is_ready_stays_so_while_it_is_made_again(shop: Workshop) -> None:
    path = await upload(shop, encoded(photo()))
    await attempt(shop)
    path.unlink()

    outcome = await attempt(shop, cause="2")

    assert isinstance(outcome, Retry)
    assert (await asset(shop))["status"] == "ready"
    assert len(await shop.rows(media_renditions)) == 4


async def test_each_picture_of_a_post_has_its_own_renditions(shop: Workshop) -> None:
    path = await upload(shop, encoded(photo()))
    (path.parent / "q.png").write_bytes(encoded(photo(), "PNG"))

    await attempt(shop)
    await attempt(shop, args=MediaUpload(7, "posts/q.png"), cause="2")

    rows = await shop.rows(media_renditions)
    assert len(rows) == 8 and len({row["key"] for row in rows}) == 8
