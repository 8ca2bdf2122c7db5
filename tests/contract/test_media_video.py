"""Videos of posts: their rows, the event that tells of them, and what becomes of posts with a picture, too."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.process_media_upload import MediaUpload, process_media_upload
from schemas.events import AssetReady
from schemas.tables import media_assets, media_renditions, outbox
from streams.media.renderer import Renderer
from streams.task import Done, Retry, Skip
from tests.one_run import Workshop
from tests.pictures import encoded, photo
from tests.uploads import ARGS, attempt, upload
from tests.videos import video

VIDEO = MediaUpload(7, None, "posts/v.mp4")
BOTH = MediaUpload(7, "posts/p.jpg", "posts/v.mp4")


async def told(shop: Workshop) -> list[tuple[dict[str, str], AssetReady]]:
    """What the backend will hear: headers and event."""
    return [
        (dict(row["headers"]), msgspec.json.decode(row["payload"], type=AssetReady))
        for row in await shop.rows(outbox)
        if row["topic"] == "asset.ready"
    ]


async def by_kind(shop: Workshop) -> dict[str, dict[str, Any]]:
    return {row["kind"]: row for row in await shop.rows(media_assets)}


async def post_with(shop: Workshop, picture: bytes | None, **options: Any) -> Path:
    """A post whose video, 64 x 48 and 2 s long, is there, and its picture, where it has one."""
    folder = (await upload(shop, picture)).parent
    video(folder / "v.mp4", **options)
    return folder


async def test_a_video_becomes_a_poster_in_the_sizes_of_a_picture_and_a_web_video(shop: Workshop) -> None:
    await post_with(shop, None, codec="mpeg4")

    outcome = await attempt(shop, args=VIDEO)

    row = (await by_kind(shop))["video"]
    known = {"status": "ready", "error": None, "format": "mp4", "width": 64, "height": 48, "source": "posts/v.mp4"}
    assert {name: row[name] for name in known} == known
    assert 1900 <= row["duration_ms"] <= 2100 and len(row["blurhash"]) == 28 and row["colour"].startswith("#")
    rows = {row["variant"]: row for row in await shop.rows(media_renditions)}
    assert sorted(rows) == ["h264-720", "thumb150", "w1080", "w320", "w640"]
    assert (rows["h264-720"]["format"], rows["h264-720"]["recipe"]) == ("mp4", "h264-1")
    for rendition in rows.values():
        assert (shop.settings.media.root / rendition["key"]).stat().st_size == rendition["bytes"]
    assert isinstance(outcome, Done) and outcome.result["renditions"] == 5


async def test_the_backend_hears_of_what_is_ready_and_of_nothing_else(shop: Workshop) -> None:
    folder = await post_with(shop, encoded(photo()))

    await attempt(shop, args=BOTH)
    (folder / "p.jpg").write_bytes(b"words")
    await attempt(shop, args=ARGS, cause="2")

    heard = await told(shop)
    assert sorted(event.kind for _, event in heard) == ["image", "video"]
    for headers, event in heard:
        rows = [row for row in await shop.rows(media_renditions) if row["source"] == event.source]
        assert (event.post_id, headers["ce_type"], headers["ce_source"]) == (7, "asset.ready", "/tailrace")
        assert headers["ce_id"] == event.natural_id
        assert {made.key: made.bytes for made in event.renditions} == {row["key"]: row["bytes"] for row in rows}


async def test_the_same_files_made_again_are_the_same_event(shop: Workshop) -> None:
    await upload(shop, encoded(photo()))

    await attempt(shop)
    await attempt(shop, cause="2")

    first, second = [headers["ce_id"] for headers, _ in await told(shop)]
    assert first == second


async def test_a_run_that_lost_its_claim_tells_nobody(shop: Workshop) -> None:
    await upload(shop, encoded(photo()))
    run = await shop.with_leases_of(timedelta(0)).claim(process_media_upload, ARGS)
    outcome = await shop.perform(run)

    await shop.as_worker("w2").claim(process_media_upload, ARGS)
    state = await shop.record(run, outcome)

    assert state != "done"
    assert await told(shop) == [] and await shop.rows(media_renditions) == []


async def test_a_video_that_is_attached_later_does_not_make_the_picture_again(shop: Workshop) -> None:
    folder = await post_with(shop, encoded(photo()))
    await attempt(shop, args=ARGS)
    (folder / "p.jpg").unlink()

    outcome = await attempt(shop, args=BOTH, cause="2")
    again = await attempt(shop, args=BOTH, cause="3")

    assert isinstance(outcome, Done)
    assert again == Skip("all of it is ready already", effect=again.effect if isinstance(again, Skip) else None)
    assert {row["status"] for row in (await by_kind(shop)).values()} == {"ready"}
    assert [event.kind for _, event in await told(shop)] == ["image", "video"]


async def test_a_picture_that_is_no_good_does_not_keep_the_video_back(shop: Workshop) -> None:
    await post_with(shop, b"words")

    outcome = await attempt(shop, args=BOTH)

    rows = await by_kind(shop)
    assert (rows["image"]["status"], rows["video"]["status"]) == ("failed", "ready")
    assert isinstance(outcome, Done) and outcome.result["failed"] == {"image": rows["image"]["error"]}


async def test_a_video_that_comes_later_than_its_picture_is_waited_for(shop: Workshop) -> None:
    folder = (await upload(shop, encoded(photo()))).parent

    early = await attempt(shop, args=BOTH)
    waiting = await by_kind(shop)
    video(folder / "v.mp4")
    late = await attempt(shop, 2, args=BOTH)

    assert early == Retry("'posts/v.mp4' does not exist under the media root")
    assert {row["status"] for row in waiting.values()} == {"queued"}
    assert isinstance(late, Done)
    assert len(await told(shop)) == 2


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"video_max_bytes": 1000}, "at most 1,000 are accepted"),
        ({"video_max_length": timedelta(seconds=1)}, "takes more than 1 s"),
        ({"video_max_pixels": 3071}, "at most 3,071 are accepted"),
        ({"video_max_frames": 19}, "more than 19 frames"),
        ({"video_timeout": timedelta(milliseconds=10)}, "the video took more than 10ms of processor time"),
        ({"max_memory_mb": 256}, "more than 256 MB of memory|cannot be decoded"),
    ],
    ids=["bytes", "seconds", "pixels", "frames", "processor", "memory"],
)
async def test_a_video_that_is_too_much_has_failed_with_the_reason(
    shop: Workshop, changed: dict[str, Any], reason: str
) -> None:
    size = (1920, 1080) if "max_memory_mb" in changed else (64, 48)
    await post_with(shop, None, codec="mpeg4", size=size)
    renderer = Renderer(shop.settings.media.model_copy(update=changed), shop.storage, timedelta(minutes=2))

    run = await shop.claim(process_media_upload, VIDEO)
    outcome = await replace(shop, renderer=renderer).perform(run)
    await shop.record(run, outcome)
    await renderer.close()

    row = (await by_kind(shop))["video"]
    assert row["status"] == "failed"
    assert re.search(reason, row["error"])


def test_commands_of_before_videos_are_understood() -> None:
    old = json.dumps({"post_id": 7, "image": "posts/p.jpg"})

    assert msgspec.json.decode(old, type=MediaUpload) == ARGS
    assert json.loads(msgspec.json.encode(ARGS)) == json.loads(old)


async def test_a_crop_keeps_its_point_when_the_picture_is_made_again(shop: Workshop) -> None:
    await upload(shop, encoded(photo(1200, 300)))

    await attempt(shop, args=MediaUpload(7, "posts/p.jpg", None, (0.25, 1.0)))

    row = (await by_kind(shop))["image"]
    assert (row["focus_x"], row["focus_y"]) == (0.25, 1.0)
