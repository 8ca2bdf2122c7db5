"""What is made of a picture. Another version is another name, so that old and new files live side by side."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Variant:
    """``width``: this wide at most, never enlarged, aspect kept. ``crop``: a square of it from the centre."""

    name: str
    size: int
    fit: Literal["width", "crop"]


@dataclass(frozen=True)
class Recipe:
    """``widths`` go from the largest to the smallest: each is made from the one before."""

    name: str
    quality: int
    effort: int
    widths: tuple[Variant, ...]
    crop: Variant

    @property
    def variants(self) -> tuple[Variant, ...]:
        return (*self.widths, self.crop)


WEBP_1 = Recipe(
    name="webp-1",
    quality=80,
    # libwebp's method, 0 to 6: 2 takes a third less time than 4, for files 4 % larger and 0.4 dB less.
    effort=2,
    widths=(Variant("w1080", 1080, "width"), Variant("w640", 640, "width"), Variant("w320", 320, "width")),
    crop=Variant("thumb150", 150, "crop"),
)
