"""What is shown of a picture before it is there: a BlurHash, and its dominant colour."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
SAMPLED = 20
"""Pixels of the longer side that the hash is made from: its few waves need no more."""

COLOURS = 8

Rgb = tuple[float, float, float]
Rows = Sequence[Sequence[tuple[float, ...]]]


@dataclass(frozen=True)
class Placeholder:
    """``colour`` as #rrggbb."""

    blurhash: str
    colour: str


def placeholder_of(image: Image.Image) -> Placeholder:
    """Of an upright picture in sRGB; what is transparent counts as white."""
    width, height = image.size
    scale = min(1.0, SAMPLED / max(width, height))
    small = image.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BOX)
    if small.mode == "RGBA":
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
    small = small.convert("RGB")
    across, down = (4, 3) if width >= height else (3, 4)
    return Placeholder(_blurhash(small, across, down), _dominant(small))


def _dominant(image: Image.Image) -> str:
    """The mean of the largest group of like colours."""
    grouped = image.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    counts = grouped.histogram()
    palette = grouped.getpalette() or [0, 0, 0]
    at = 3 * counts.index(max(counts))
    return "#{:02x}{:02x}{:02x}".format(*palette[at : at + 3])


def _blurhash(image: Image.Image, across: int, down: int) -> str:
    """Source: the algorithm's own description, github.com/woltapp/blurhash, Algorithm.md."""
    factors = _factors(image, across, down)
    strongest = max((abs(value) for factor in factors[1:] for value in factor), default=0.0)
    scale = min(82, max(0, math.floor(strongest * 166 - 0.5)))
    top = (scale + 1) / 166
    text = _digits(across - 1 + (down - 1) * 9, 1) + _digits(scale, 1)
    red, green, blue = (_srgb(value) for value in factors[0])
    text += _digits((red << 16) + (green << 8) + blue, 4)
    for factor in factors[1:]:
        red, green, blue = (_quantised(value / top) for value in factor)
        text += _digits((red * 19 + green) * 19 + blue, 2)
    return text


def _factors(image: Image.Image, across: int, down: int) -> list[Rgb]:
    width, height = image.size
    data = image.tobytes()
    linear = [_linear(value) for value in range(256)]
    pixels = [tuple(linear[value] for value in data[at : at + 3]) for at in range(0, len(data), 3)]
    rows = [pixels[at : at + width] for at in range(0, len(pixels), width)]
    waves_x = [[math.cos(math.pi * i * x / width) for x in range(width)] for i in range(across)]
    waves_y = [[math.cos(math.pi * j * y / height) for y in range(height)] for j in range(down)]
    found = []
    for j in range(down):
        for i in range(across):
            weight = (1 if i == j == 0 else 2) / (width * height)
            found.append(_factor(rows, waves_x[i], waves_y[j], weight))
    return found


def _factor(
    rows: Sequence[Sequence[tuple[float, ...]]], wave_x: list[float], wave_y: list[float], weight: float
) -> Rgb:
    red = green = blue = 0.0
    for row, down in zip(rows, wave_y, strict=True):
        for pixel, along in zip(row, wave_x, strict=True):
            wave = along * down
            red, green, blue = red + wave * pixel[0], green + wave * pixel[1], blue + wave * pixel[2]
    return red * weight, green * weight, blue * weight


def _digits(value: int, length: int) -> str:
    return "".join(DIGITS[value // 83**at % 83] for at in reversed(range(length)))


def _quantised(value: float) -> int:
    return max(0, min(18, math.floor(math.copysign(math.sqrt(abs(value)), value) * 9 + 9.5)))


def _linear(value: int) -> float:
    part = value / 255
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def _srgb(value: float) -> int:
    part = max(0.0, min(1.0, value))
    return round((part * 12.92 if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055) * 255)
