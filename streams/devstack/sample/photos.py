"""Photos out of nothing: soft colours and a few shapes, in the sizes and turns that phones make."""

import io
import random
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

SIZES = ((1600, 1200), (1600, 1200), (2048, 1365), (1200, 1600), (1080, 1080), (800, 600))
ORIENTATION = 0x0112
UPRIGHT, TURNED_RIGHT, UPSIDE_DOWN, TURNED_LEFT = 1, 6, 3, 8
MAKE = 0x010F


@dataclass(frozen=True)
class Photo:
    """A JPEG and its place under the media root."""

    key: str
    content: bytes


def make_photo(key: str, rng: random.Random) -> Photo:
    """One photo; the same ``rng`` state gives the same one. Takes about 30 ms of a processor."""
    picture = _sky(rng.choice(SIZES), rng)
    _add_shapes(picture, rng)
    exif = Image.Exif()
    exif[MAKE] = "Tailrace sample"
    exif[ORIENTATION] = rng.choice((UPRIGHT, UPRIGHT, UPRIGHT, TURNED_RIGHT, UPSIDE_DOWN, TURNED_LEFT))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=rng.randint(75, 92), exif=exif)
    return Photo(key, out.getvalue())


def keep(photo: Photo, media_root: Path) -> None:
    """Write it below ``media_root``; it appears whole."""
    place = media_root / photo.key
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_suffix(".part")
    aside.write_bytes(photo.content)
    aside.replace(place)


def _sky(size: tuple[int, int], rng: random.Random) -> Image.Image:
    few = Image.frombytes("RGB", (4, 3), rng.randbytes(36))
    return few.resize(size, Image.Resampling.BICUBIC)


def _add_shapes(picture: Image.Image, rng: random.Random) -> None:
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    for _ in range(rng.randint(3, 8)):
        x, y, radius = rng.randrange(width), rng.randrange(height), rng.randrange(height // 20, height // 5)
        colour = tuple(rng.randbytes(3))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
