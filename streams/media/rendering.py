"""From the bytes of a picture to the bytes of its renditions: pure, and the same bytes each time.

Fast for these reasons: a JPEG is decoded at the smallest scale that suffices, each size is made from the next
larger, and what is rotated and brought to sRGB is the small picture.
"""

import io
import math
from dataclasses import dataclass

from PIL import Image, ImageCms

from streams.media.errors import BadMedia
from streams.media.opening import Opened, describe, open_picture
from streams.media.recipe import Recipe, Variant

MAX_SIDE = 16_383
"""Of a WebP. Source: RFC 9649, section 1."""

REDUCING_GAP = 2.0

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Picture:
    """One rendition, encoded."""

    variant: Variant
    width: int
    height: int
    content: bytes


def render(content: bytes, recipe: Recipe, max_pixels: int) -> tuple[tuple[int, int], list[Picture]]:
    """Width and height as a viewer sees them, and every variant of the recipe.

    Raises ``BadMedia`` for whatever is wrong with the content; ``MemoryError`` passes.
    """
    opened = open_picture(content, max_pixels)
    width, height = opened.size
    tallest = _scaled(opened.size, min(1.0, recipe.widths[0].size / width))[1]
    if tallest > MAX_SIDE:
        raise BadMedia(f"the picture is {width} x {height} pixels, which is too long for its width")
    try:
        return opened.size, _pictures(opened, recipe)
    except MemoryError:
        raise
    except Exception as error:
        raise BadMedia(f"the {opened.image.format} cannot be decoded: {describe(error)}") from error


def _pictures(opened: Opened, recipe: Recipe) -> list[Picture]:
    base = _base(opened, recipe)
    made, pictures = [base], []
    for variant in recipe.widths:
        size = _scaled(opened.size, min(1.0, variant.size / opened.size[0]))
        made.append(_resized(made[-1], size))
        pictures.append(_encoded(made[-1], variant, recipe))
    large_enough = [image for image in made if min(image.size) >= recipe.crop.size]
    square = _cropped(large_enough[-1] if large_enough else base, recipe.crop.size)
    pictures.append(_encoded(square, recipe.crop, recipe))
    return pictures


def _base(opened: Opened, recipe: Recipe) -> Image.Image:
    """The smallest picture that every variant can be made from: upright, in sRGB, nothing else known of it."""
    image, size = opened.image, opened.size
    scale = min(1.0, max(recipe.widths[0].size / size[0], recipe.crop.size / min(size)))
    target = _scaled(size, scale)
    stored = target[::-1] if opened.orientation >= 5 else target
    profile = image.info.get("icc_profile")
    image.draft(None, stored)
    image = _resized(_continuous(image), stored)
    if opened.orientation in UPRIGHT:
        image = image.transpose(UPRIGHT[opened.orientation])
    image = _in_srgb(image, profile)
    image.info = {}
    return image


def _continuous(image: Image.Image) -> Image.Image:
    """In a mode whose values can be averaged, with alpha where there is any. Decodes the pixels."""
    image.load()
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode.startswith("I"):
        # 16 bits of grey: their upper half.
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
        except (ImageCms.PyCMSError, OSError, ValueError):
            # Broken, or for another kind of pixels: shown as viewers do that know no profiles.
            return image.convert(mode)
        if converted is not None:
            return converted
    return image.convert(mode)


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, math.floor(size[0] * scale + 0.5)), max(1, math.floor(size[1] * scale + 0.5))


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)


def _cropped(image: Image.Image, side: int) -> Image.Image:
    width, height = image.size
    short = min(width, height)
    left, top = (width - short) / 2, (height - short) / 2
    box = (left, top, left + short, top + short)
    return image.resize((side, side), Image.Resampling.LANCZOS, box=box, reducing_gap=REDUCING_GAP)


def _encoded(image: Image.Image, variant: Variant, recipe: Recipe) -> Picture:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=recipe.quality, method=recipe.effort, exif=b"", icc_profile=b"", xmp=b"")
    return Picture(variant, image.width, image.height, file.getvalue())
