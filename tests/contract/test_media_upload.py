"""Renditions and their rows, and what becomes of uploads that are no good."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from PIL import Image

from agents.process_media_upload import MediaUpload, process_media_upload
from schemas.events import PostUploaded
from schemas.tables import media_assets, media_renditions
from streams.media.renderer import Renderer
from streams.task import Done, Retry, Skip
from tests.one_run import Workshop
from tests.pictures import bomb, encoded, photo, with_metadata
from tests.uploads import ARGS, asset, attempt, upload


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
        assert (row["format"], row["recipe"], row["bytes"]) == ("webp", "webp-2", file.stat().st_size)
        assert Image.open(file).size == (row["width"], row["height"])
    total = sum(row["bytes"] for row in rows)
    assert isinstance(outcome, Done) and outcome.result == {"renditions": 4, "bytes": total}


def test_a_post_without_a_picture_orders_nothing() -> None:
    fields: dict[str, Any] = {"post_id": 7, "author_id": 7, "created_at": datetime.now(UTC), "visibility": "public"}
    args_of = process_media_upload.args_of
    assert args_of

    assert args_of(PostUploaded(**fields)) is None
    assert args_of(PostUploaded(**fields, image="")) is None
    assert args_of(PostUploaded(**fields, video="v.mp4")) == MediaUpload(7, None, "v.mp4")
    assert args_of(PostUploaded(**fields, image="p.jpg", video="v.mp4")) == MediaUpload(7, "p.jpg", "v.mp4")
    assert args_of(PostUploaded(**fields, image="p.jpg", image_focus=(0, 1))) == MediaUpload(7, "p.jpg", None, (0, 1))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (encoded(photo())[:2000], "the JPEG cannot be decoded"),
        (bomb(), "3,600,000,000 pixels; at most 25,000,000"),
        (b"\xff\xd8\xff" + bytes(16_000_000), "16,000,003 bytes; at most 16,000,000"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"#!/bin/sh\n", "no JPEG, PNG, GIF, WebP, AVIF or HEIC"),
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


async def test_a_decode_that_takes_too_much_processor_time_is_the_contents_fault(shop: Workshop) -> None:
    await upload(shop, encoded(Image.new("L", (5000, 5000)), "PNG", compress_level=1))
    hasty = shop.settings.media.model_copy(update={"timeout": timedelta(milliseconds=20)})
    renderer = Renderer(hasty, shop.storage, timedelta(minutes=1))

    outcome = await attempt(replace(shop, renderer=renderer))
    await renderer.close()

    assert isinstance(outcome, Skip) and "more than 20ms of processor time" in outcome.reason
    assert (await asset(shop))["status"] == "failed"


async def test_a_machine_that_stalls_loses_no_picture(shop: Workshop) -> None:
    await upload(shop, encoded(photo()))
    stalled = Renderer(shop.settings.media, shop.storage, timedelta(microseconds=1))

    outcome = await attempt(replace(shop, renderer=stalled))
    await stalled.close()
    shown = await asset(shop)
    again = await attempt(shop, 2)

    assert isinstance(outcome, Retry) and "did not answer within" in outcome.reason
    assert shown["status"] == "queued"
    assert isinstance(again, Done)


@pytest.mark.parametrize("length", [1025, 200_000])
async def test_a_key_longer_than_any_files_is_skipped_before_anything_is_written(shop: Workshop, length: int) -> None:
    await upload(shop, None)

    outcome = await attempt(shop, args=MediaUpload(7, "k" * length))

    assert isinstance(outcome, Skip) and f"{length:,} bytes, at most 1,024" in outcome.reason
    assert len(outcome.reason) < 200
    assert await shop.rows(media_assets) == []


async def test_the_longest_key_has_an_asset(shop: Workshop) -> None:
    await upload(shop, None)
    key = "/".join("é" * 127 for _ in range(5))[:512]

    outcome = await attempt(shop, args=MediaUpload(7, key))

    assert isinstance(outcome, Retry) and len(outcome.reason) < 200
    assert (await asset(shop))["source"] == key


async def test_a_fault_of_the_machine_is_tried_again(shop: Workshop) -> None:
    await upload(shop, encoded(photo()))
    (shop.settings.media.root / "renditions").write_bytes(b"in the way")

    outcome = await attempt(shop)

    assert isinstance(outcome, Retry) and "the media folder cannot be used" in outcome.reason
    assert (await asset(shop))["status"] == "queued"


async def test_each_picture_of_a_post_has_its_own_renditions(shop: Workshop) -> None:
    path = await upload(shop, encoded(photo()))
    (path.parent / "q.png").write_bytes(encoded(photo(), "PNG"))

    await attempt(shop)
    await attempt(shop, args=MediaUpload(7, "posts/q.png"), cause="2")

    rows = await shop.rows(media_renditions)
    assert len(rows) == 8 and len({row["key"] for row in rows}) == 8
