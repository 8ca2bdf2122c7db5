"""Steps on decoded pictures: modes whose values can be averaged, sizes, crops, which way is up, colours."""

import io
import math

from PIL import Image, ImageCms

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
"""By EXIF's orientation."""


def continuous(image: Image.Image) -> Image.Image:
    """In a mode whose values can be averaged, with alpha where there is any. Decodes the pixels."""
    image.load()
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode.startswith("I"):
        # 16 bits of grey: their upper half.
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """As a viewer sees it."""
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """From the colours of its profile. A profile that is broken, or for another kind of pixels, is as none: so do
    viewers that know no profiles.
    """
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
        except (ImageCms.PyCMSError, OSError, ValueError):
            return image.convert(mode)
        if converted is not None:
            return converted
    return image.convert(mode)


def scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """At least a pixel each way."""
    return max(1, math.floor(size[0] * scale + 0.5)), max(1, math.floor(size[1] * scale + 0.5))


def resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """To this size, whatever its aspect."""
    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)


def cropped(image: Image.Image, side: int, focus: tuple[float, float] | None) -> Image.Image:
    """The largest square around the focus, or around the centre, as a square of this side."""
    width, height = image.size
    short = min(width, height)
    across, down = focus or (0.5, 0.5)
    left = min(max(0.0, across * width - short / 2), float(width - short))
    top = min(max(0.0, down * height - short / 2), float(height - short))
    box = (left, top, left + short, top + short)
    return image.resize((side, side), Image.Resampling.LANCZOS, box=box, reducing_gap=REDUCING_GAP)
