"""From the bytes of a picture to the bytes of its renditions: pure, and the same bytes each time.

Fast for these reasons: a JPEG is decoded at the smallest scale that suffices, each size is made from the next
larger, and what is rotated and brought to sRGB is the small picture.
"""

import io
from dataclasses import dataclass

from PIL import Image

from streams.media.errors import BadMedia
from streams.media.moving import moving_pictures
from streams.media.opening import Opened, describe, open_picture
from streams.media.placeholder import Placeholder, placeholder_of
from streams.media.recipe import CROP, WIDTHS, Encoding, Plan, Variant
from streams.media.resizing import continuous, cropped, in_srgb, resized, scaled, upright

MAX_SIDE = 16_383
"""Of a WebP. Source: RFC 9649, section 1."""


@dataclass(frozen=True)
class Picture:
    """One rendition, encoded."""

    variant: str
    encoding: Encoding
    width: int
    height: int
    content: bytes


@dataclass(frozen=True)
class Gallery:
    """All renditions of a picture. ``size`` is the picture's, as a viewer sees it; ``frames`` how many move."""

    kind: str
    size: tuple[int, int]
    pictures: list[Picture]
    placeholder: Placeholder
    frames: int = 1


def render(content: bytes, plan: Plan) -> Gallery:
    """Every variant of a picture. Raises ``BadMedia`` for whatever is wrong with it; ``MemoryError`` passes."""
    opened = open_picture(content, plan.max_pixels)
    size = opened.size  # before it is decoded at a smaller scale
    _refuse_too_long(size)
    try:
        made = _sizes(_base(opened), size)
        pictures = _stills(made, plan)
        moving = moving_pictures(content, opened, plan)
    except (MemoryError, BadMedia):
        raise
    except Exception as error:
        raise BadMedia(f"the {opened.kind} cannot be decoded: {describe(error)}") from error
    if moving:
        pictures = [
            Picture(variant.name, moving.encoding, *size, file)
            for (variant, size), file in zip(moving.sizes, moving.files, strict=True)
        ] + [picture for picture in pictures if picture.variant.startswith(CROP.name)]
    return Gallery(opened.kind, size, pictures, placeholder_of(made[-1]), moving.frames if moving else 1)


def render_still(image: Image.Image, plan: Plan) -> Gallery:
    """Every variant of a picture that is decoded, upright and in sRGB: a frame of a video."""
    _refuse_too_long(image.size)
    made = _sizes(resized(image, scaled(image.size, _scale_of_base(image.size))), image.size)
    return Gallery("", image.size, _stills(made, plan), placeholder_of(made[-1]))


def _refuse_too_long(size: tuple[int, int]) -> None:
    width, height = size
    if scaled(size, min(1.0, WIDTHS[0].size / width))[1] > MAX_SIDE:
        raise BadMedia(f"the picture is {width} x {height} pixels, which is too long for its width")


def _sizes(base: Image.Image, size: tuple[int, int]) -> list[Image.Image]:
    """The base, then each width, from the largest to the smallest."""
    made = [base]
    for variant in WIDTHS:
        made.append(resized(made[-1], scaled(size, min(1.0, variant.size / size[0]))))
    return made


def _stills(made: list[Image.Image], plan: Plan) -> list[Picture]:
    large_enough = [image for image in made if min(image.size) >= CROP.size]
    square = cropped(large_enough[-1] if large_enough else made[0], CROP.size, plan.focus)
    return [
        _encoded(image, variant, encoding)
        for encoding in plan.encodings
        for image, variant in zip([*made[1:], square], [*WIDTHS, CROP], strict=True)
    ]


def _scale_of_base(size: tuple[int, int]) -> float:
    return min(1.0, max(WIDTHS[0].size / size[0], CROP.size / min(size)))


def _base(opened: Opened) -> Image.Image:
    """The smallest picture that every variant can be made from: upright, in sRGB, nothing else known of it."""
    image, size = opened.image, opened.size
    target = scaled(size, _scale_of_base(size))
    stored = target[::-1] if opened.orientation >= 5 else target
    profile = image.info.get("icc_profile")
    image.draft(None, stored)
    image = upright(resized(continuous(image), stored), opened.orientation)
    image = in_srgb(image, profile)
    image.info = {}
    return image


def _encoded(image: Image.Image, variant: Variant, encoding: Encoding) -> Picture:
    file = io.BytesIO()
    bare = {"exif": b"", "icc_profile": b"", "xmp": b""}
    image.save(file, encoding.format.upper(), **encoding.options, **bare)
    return Picture(variant.name + encoding.suffix, encoding, image.width, image.height, file.getvalue())
