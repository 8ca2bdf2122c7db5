"""From bytes to a picture that is safe to decode: what it is and how large, before a pixel of it is made."""

import io
import struct
from dataclasses import dataclass

from PIL import Image

from streams.media.errors import BadMedia
from streams.media.sniffing import picture_kind

ORIENTATION = 0x0112


@dataclass(frozen=True)
class Opened:
    """A picture whose pixels are not decoded yet. ``orientation`` is EXIF's, 1 to 8; 5 to 8 lie on a side."""

    image: Image.Image
    kind: str
    orientation: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as a viewer sees it."""
        width, height = self.image.size
        return (height, width) if self.orientation >= 5 else (width, height)


def open_picture(content: bytes, max_pixels: int) -> Opened:
    """Read the head of a picture. Raises ``BadMedia`` for what is none of the accepted kinds, and for more
    than ``max_pixels``.
    """
    kind = picture_kind(content)
    if kind == "HEIF":
        _register_heif()
    if kind == "WEBP":
        # The WebP decoder takes memory for the whole canvas when it is made, so its head is read here.
        _refuse_too_many(_webp_size(content), max_pixels)
    Image.MAX_IMAGE_PIXELS = None  # counted here, against the setting
    try:
        image = Image.open(io.BytesIO(content), formats=[kind])
    except MemoryError:
        raise
    except Exception as error:
        raise BadMedia(f"the {kind} cannot be read: {describe(error)}") from error
    _refuse_too_many(image.size, max_pixels)
    # HEIF turns what it decodes by itself; what EXIF says there is for the record.
    return Opened(image, kind, 1 if kind == "HEIF" else _orientation(image))


def describe(error: BaseException) -> str:
    """An exception in one line."""
    return " ".join(f"{error}".split())[:200] or type(error).__name__


def _register_heif() -> None:
    """Teach Pillow to read HEIC. Imported here: few pictures need it."""
    try:
        import pi_heif  # noqa: PLC0415
    except ImportError as error:
        raise BadMedia("HEIC cannot be read here: the package pi-heif is not installed") from error
    pi_heif.options.DECODE_THREADS = 1
    pi_heif.options.THUMBNAILS = False
    pi_heif.register_heif_opener()


def _refuse_too_many(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise BadMedia(f"the picture is {width} x {height} pixels")
    if width * height > max_pixels:
        raise BadMedia(
            f"the picture is {width} x {height} = {width * height:,} pixels; at most {max_pixels:,} are accepted"
        )


def _webp_size(content: bytes) -> tuple[int, int]:
    """Canvas of a WebP. Source: RFC 9649, sections 2.5 to 2.7."""
    head = content[12:30]
    if len(head) < 18:
        raise BadMedia("the WEBP cannot be read: it ends in its head")
    if head[:4] == b"VP8X":
        width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (12, 15))
        return width, height
    if head[:4] == b"VP8L":
        bits = int.from_bytes(head[9:13], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if head[:4] == b"VP8 ":
        width, height = struct.unpack("<HH", head[14:18])
        return width & 0x3FFF, height & 0x3FFF
    raise BadMedia("the WEBP cannot be read: its first chunk is unknown")


def _orientation(image: Image.Image) -> int:
    """As EXIF says it. A picture is worth having though its EXIF is broken: it is then taken as upright."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except (SyntaxError, ValueError, KeyError, TypeError, IndexError, struct.error, OSError):
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1
