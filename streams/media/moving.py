"""Pictures that move stay so, as animated WebP, as long as that costs no more than the plan allows.

No more than two frames are in memory at a time: each size decodes the frames anew.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from streams.media.opening import Opened
from streams.media.recipe import WEBP, WIDTHS, Encoding, Plan, Variant
from streams.media.resizing import in_srgb, resized, scaled

KINDS = ("GIF", "WEBP")
SHORTEST_MS = 20
"""Shorter frames are shown for 100 ms, as browsers do."""

SHOWN_MS = 100

Size = tuple[int, int]


@dataclass(frozen=True)
class Moving:
    """A file for each width."""

    encoding: Encoding
    frames: int
    sizes: list[tuple[Variant, Size]]
    files: list[bytes]


def moving_pictures(content: bytes, opened: Opened, plan: Plan) -> Moving | None:
    """None for a picture that does not move, or has more frames than the plan allows."""
    if opened.kind not in KINDS or opened.orientation != 1:
        return None
    times = _times(content, opened.kind, plan.frames_of(opened.size))
    if times is None:
        return None
    sizes = [(variant, scaled(opened.size, min(1.0, variant.size / opened.size[0]))) for variant in WIDTHS]
    files: dict[Size, bytes] = {}
    for _, size in sizes:
        if size not in files:
            files[size] = _encoded(content, opened.kind, size, times)
    return Moving(WEBP, len(times), sizes, [files[size] for _, size in sizes])


def _open(content: bytes, kind: str) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=[kind])


def _times(content: bytes, kind: str, most: int) -> list[int] | None:
    """How long each frame is shown, in ms; None for one frame, or for more than ``most``."""
    image = _open(content, kind)
    times: list[int] = []
    if not getattr(image, "is_animated", False) or (kind == "WEBP" and getattr(image, "n_frames", 1) > most):
        return None
    while len(times) <= most:
        try:
            image.seek(len(times))
        except EOFError:
            return times if len(times) > 1 else None
        image.load()
        shown = int(image.info.get("duration") or 0)
        times.append(shown if shown >= SHORTEST_MS else SHOWN_MS)
    return None


def _encoded(content: bytes, kind: str, size: Size, times: list[int]) -> bytes:
    frames = _frames(content, kind, size, len(times))
    file = io.BytesIO()
    next(frames).save(
        file,
        "WEBP",
        save_all=True,
        append_images=frames,
        duration=times,
        loop=_plays(_open(content, kind), kind),
        **WEBP.options,
        exif=b"",
        icc_profile=b"",
        xmp=b"",
    )
    return file.getvalue()


def _frames(content: bytes, kind: str, size: Size, count: int) -> Iterator[Image.Image]:
    image = _open(content, kind)
    profile = image.info.get("icc_profile")
    for number in range(count):
        image.seek(number)
        frame = in_srgb(resized(image.convert("RGBA"), size), profile)
        frame.info = {}
        yield frame


def _plays(image: Image.Image, kind: str) -> int:
    """How often, 0 for ever. GIF counts the repeats, and plays once without a count."""
    loop = image.info.get("loop")
    if kind == "WEBP":
        return int(loop or 0)
    if loop is None:
        return 1
    return int(loop) + 1 if loop else 0
