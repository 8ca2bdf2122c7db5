"""Videos of every accepted kind become one that every browser plays, and what is too much or no video does not."""

import io
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from streams.media.errors import BadMedia
from streams.media.recipe import Plan
from streams.media.video import Made, make_video
from streams.media.video_coding import target_size
from streams.media.video_source import Caps
from tests.pictures import CORNERS, encoded, photo
from tests.videos import tone_only, video

CAPS = Caps(max_seconds=60, max_frames=1000, max_pixels=4_000_000)


def made(path: Path, caps: Caps = CAPS) -> Made:
    return make_video(path, path.with_name("out.mp4"), Plan(25_000_000), caps)


def poster(found: Made) -> Image.Image:
    picture = next(picture for picture in found.poster.pictures if picture.variant == "w320")
    return Image.open(io.BytesIO(picture.content)).convert("RGB")


def has_corner(image: Image.Image, corner: str) -> bool:
    x = image.width // 8 if "left" in corner else image.width * 7 // 8
    y = image.height // 8 if "top" in corner else image.height * 7 // 8
    found = image.getpixel((x, y))
    assert isinstance(found, tuple)
    return max(abs(a - b) for a, b in zip(found, CORNERS[corner], strict=True)) < 90


def facts(path: Path) -> tuple[str, tuple[int, int], str | None, float]:
    """Coding, size, coding of the sound and seconds of a file, as another reader finds them."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        sound = container.streams.audio[0].codec_context.name if container.streams.audio else None
        return (
            stream.codec_context.name,
            (stream.codec_context.width, stream.codec_context.height),
            sound,
            (container.duration or 0) / 1_000_000,
        )


WEBM: dict[str, Any] = {"codec": "libvpx", "sound": "libopus"}

KINDS: list[tuple[str, str, dict[str, Any]]] = [
    ("a.mp4", "MP4", {"codec": "mpeg4"}),
    ("hevc.mp4", "MP4", {"codec": "libx265", "options": {"x265-params": "log-level=none"}}),
    ("a.mov", "MOV", {"codec": "mjpeg", "pix_fmt": "yuvj420p", "sound": "pcm_s16le"}),
    ("a.avi", "AVI", {"codec": "mpeg4", "sound": "mp3"}),
    ("a.wmv", "WMV", {"codec": "wmv2", "sound": "wmav2", "form": "asf"}),
    ("a.webm", "WEBM", {"codec": "libvpx", "sound": "libopus"}),
    ("vp9.webm", "WEBM", {"codec": "libvpx-vp9", "sound": None}),
]


@pytest.mark.parametrize(("name", "kind", "options"), KINDS, ids=[name for name, _, _ in KINDS])
def test_each_accepted_kind_becomes_an_mp4_and_a_poster(
    tmp_path: Path, name: str, kind: str, options: dict[str, Any]
) -> None:
    video(tmp_path / name, **options)

    found = made(tmp_path / name)

    assert (found.kind, found.size, found.coded.passed_through) == (kind, (64, 48), False)
    sound = None if options.get("sound", "aac") is None else "aac"
    assert facts(tmp_path / "out.mp4")[:3] == ("h264", (64, 48), sound)
    assert facts(tmp_path / "out.mp4")[3] == pytest.approx(2, abs=0.2)
    assert found.coded.seconds == pytest.approx(2, abs=0.15)
    assert all(has_corner(poster(found), corner) for corner in CORNERS)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_what_browsers_play_is_passed_through_without_metadata(tmp_path: Path, name: str) -> None:
    secrets = {"location": "+52.5+013.4/", "title": "Secret", "comment": "Secret"}
    source = video(tmp_path / name, metadata=secrets)

    found = made(tmp_path / name)

    content = (tmp_path / "out.mp4").read_bytes()
    assert b"Secret" in source and found.coded.passed_through
    assert not any(word in content for word in (b"Secret", b"52.5", b"Lavf"))
    assert content.index(b"moov") < content.index(b"mdat")
    assert facts(tmp_path / "out.mp4")[:3] == ("h264", (64, 48), "aac")


def test_the_same_video_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.webm"):
        video(tmp_path / name, **(WEBM if name == "a.webm" else {}))
        first = made(tmp_path / name)
        content = (tmp_path / "out.mp4").read_bytes()

        assert made(tmp_path / name) == first
        assert (tmp_path / "out.mp4").read_bytes() == content


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_video_is_upright(tmp_path: Path, degrees: int) -> None:
    video(tmp_path / "a.mp4", rotation=degrees)

    found = made(tmp_path / "a.mp4")

    with av.open(str(tmp_path / "out.mp4")) as container:
        frame: Image.Image = next(container.decode(video=0)).to_image()  # type: ignore[no-untyped-call]
    assert found.size == found.coded.size == frame.size == (64, 48)
    for image in (poster(found), frame):
        assert all(has_corner(image, corner) for corner in CORNERS)


def test_pixels_that_are_not_square_become_so(tmp_path: Path) -> None:
    video(tmp_path / "a.avi", codec="mpeg4", sound=None, aspect=Fraction(2))

    found = made(tmp_path / "a.avi")

    assert found.size == found.coded.size == (128, 48)


@pytest.mark.parametrize(
    ("shown", "target"),
    [
        ((1920, 1080), (1280, 720)),
        ((1080, 1920), (720, 1280)),
        ((4000, 1000), (1280, 320)),
        ((1000, 1000), (720, 720)),
        ((641, 361), (640, 360)),
        ((1, 1), (2, 2)),
        ((1280, 720), (1280, 720)),
    ],
)
def test_a_video_is_720p_at_most_and_even(shown: tuple[int, int], target: tuple[int, int]) -> None:
    assert target_size(shown) == target


def test_a_large_video_is_made_smaller_and_an_odd_one_even(tmp_path: Path) -> None:
    video(tmp_path / "a.mp4", size=(1920, 1080), frames=3, sound=None, options={"preset": "ultrafast"})
    large = made(tmp_path / "a.mp4")
    video(tmp_path / "b.mp4", size=(65, 49), frames=3, sound=None, pix_fmt="yuv444p")
    odd = made(tmp_path / "b.mp4")

    assert (large.size, large.coded.size) == ((1920, 1080), (1280, 720))
    assert (odd.size, odd.coded.size) == ((65, 49), (64, 48))


@pytest.mark.parametrize(
    ("caps", "reason"),
    [
        (Caps(1.5, 1000, 4_000_000), "takes more than 1.5 s"),
        (Caps(60, 19, 4_000_000), "more than 19 frames"),
        (Caps(60, 1000, 3071), "64 x 48 = 3,072 pixels; at most 3,071"),
    ],
)
@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_a_video_that_is_too_much_is_refused(tmp_path: Path, caps: Caps, reason: str, name: str) -> None:
    video(tmp_path / name, **(WEBM if name == "a.webm" else {}))

    with pytest.raises(BadMedia, match=reason):
        made(tmp_path / name, caps)


def test_a_video_that_lies_about_its_length_is_stopped_as_it_is_decoded(tmp_path: Path) -> None:
    content = bytearray(video(tmp_path / "a.mp4", codec="mpeg4", sound=None))
    for box in (b"mvhd", b"mdhd", b"tkhd"):
        at = content.index(box) + (20 if box != b"tkhd" else 24)
        content[at : at + 4] = struct.pack(">I", 1)
    (tmp_path / "a.mp4").write_bytes(content)

    with pytest.raises(BadMedia, match="takes more than 1 s"):
        made(tmp_path / "a.mp4", Caps(1, 1000, 4_000_000))


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_a_video_that_was_cut_while_it_was_sent_is_refused(tmp_path: Path, name: str) -> None:
    faststart = {"options": {"movflags": "+faststart"}, "codec": "mpeg4"}
    options: dict[str, Any] = faststart if name == "a.mp4" else WEBM
    whole = video(tmp_path / name, frames=60, **options)
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])

    with pytest.raises(BadMedia):
        made(tmp_path / name)


def test_what_has_no_picture_that_moves_is_refused(tmp_path: Path) -> None:
    tone_only(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_bytes(encoded(photo()))
    (tmp_path / "c.mp4").write_bytes(b"just words")

    for name, reason in (
        ("a.mp4", "the MP4 has no video in it"),
        ("b.mp4", "is a picture, JPEG"),
        ("c.mp4", "no MP4"),
    ):
        with pytest.raises(BadMedia, match=reason):
            made(tmp_path / name)


@pytest.mark.parametrize("seed", range(12))
def test_a_video_with_broken_parts_is_made_or_refused_but_nothing_else(tmp_path: Path, seed: int) -> None:
    content = bytearray(video(tmp_path / "a.mp4", codec="mpeg4", frames=10))
    for at in range(seed * 97 + 40, len(content), 701):
        content[at] ^= 0xFF
    (tmp_path / "a.mp4").write_bytes(content)

    try:
        found = made(tmp_path / "a.mp4")
    except BadMedia:
        return
    assert found.coded.frames > 0
