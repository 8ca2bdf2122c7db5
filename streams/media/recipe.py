"""What is made of a picture. Another version is another name, so that old and new files live side by side."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Variant:
    """``width``: this wide at most, never enlarged, aspect kept. ``crop``: a square of it around its focal point."""

    name: str
    size: int
    fit: Literal["width", "crop"]


WIDTHS = (Variant("w1080", 1080, "width"), Variant("w640", 640, "width"), Variant("w320", 320, "width"))
"""From the largest to the smallest: each is made from the one before."""

CROP = Variant("thumb150", 150, "crop")


@dataclass(frozen=True)
class Encoding:
    """A file format with its options. ``name`` is the recipe: it changes with anything that changes the bytes."""

    name: str
    format: Literal["webp", "avif"]
    suffix: str
    options: Mapping[str, Any] = field(default_factory=dict)


# libwebp's method, 0 to 6: 2 takes a third less time than 4, for files 4 % larger and 0.4 dB less.
WEBP = Encoding("webp-2", "webp", "", {"quality": 80, "method": 2})

# libaom at speed 8 of 10: a third smaller than WebP at the same look, for five times its time.
AVIF = Encoding("avif-1", "avif", "-avif", {"quality": 60, "speed": 8, "max_threads": 1, "advanced": {}})

VIDEO = "h264-1"
"""The recipe of videos: H.264 and AAC in MP4."""


@dataclass(frozen=True)
class Plan:
    """What is asked for, and how far it may go. ``focus`` is what a crop keeps, from 0 to 1 from the top left."""

    max_pixels: int
    encodings: tuple[Encoding, ...] = (WEBP,)
    focus: tuple[float, float] | None = None
    max_frames: int = 300
    max_moving_pixels: int = 60_000_000

    def frames_of(self, size: tuple[int, int]) -> int:
        """How many pictures of this size may move."""
        return min(self.max_frames, self.max_moving_pixels // (size[0] * size[1]))
