"""Small pictures to render, and files that only look like some."""

import io
import struct
import zlib
from typing import Any

from PIL import Image, ImageCms, ImageDraw

CORNERS = {"top left": (255, 0, 0), "top right": (0, 255, 0), "bottom left": (0, 0, 255), "bottom right": (255, 255, 0)}


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The picture as a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photo(width: int = 400, height: int = 300, mode: str = "RGB") -> Image.Image:
    """Smooth colours with some edges, as far as a small picture can be a photo."""
    sides = Image.linear_gradient("L").resize((width, height))
    image = Image.merge("RGB", (sides, sides.transpose(Image.Transpose.ROTATE_180), sides))
    ImageDraw.Draw(image).ellipse((width // 4, height // 4, width // 2, height // 2), fill=(200, 80, 40))
    return image.convert(mode)


def four_corners(width: int = 400, height: int = 300) -> Image.Image:
    """A quarter of each colour of ``CORNERS``, so that one can see which way up it is."""
    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    for place, colour in CORNERS.items():
        left = 0 if "left" in place else width // 2
        top = 0 if "top" in place else height // 2
        draw.rectangle((left, top, left + width // 2, top + height // 2), fill=colour)
    return image


def with_metadata(orientation: int = 1, image: Image.Image | None = None) -> bytes:
    """A JPEG that says where it was taken, with what, and which way up it is."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "SecretCam"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0)})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = image or photo()
    return encoded(picture, exif=exif, icc_profile=profile, comment=b"SecretComment", quality=95)


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A PNG of a few bytes that says it has billions of pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", zlib.compress(bytes(1000)))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
