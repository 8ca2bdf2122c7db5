"""What a file is, by its first bytes. Names and declared types are never asked."""

from streams.media.errors import BadMedia

HEAD = 4096
"""As many bytes tell every kind."""

PICTURES = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIF")
VIDEOS = ("MP4", "MOV", "AVI", "WMV", "WEBM")
PICTURE_NAMES, VIDEO_NAMES = "JPEG, PNG, GIF, WebP, AVIF or HEIC", "MP4, MOV, AVI, WMV or WebM"

MARKUP = (b"<svg", b"<?xml", b"<!doctype svg", b"<!--")
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
EBML = b"\x1a\x45\xdf\xa3"

AVIF_BRANDS = {b"avif", b"avis"}
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
QUICKTIME_BRAND = b"qt  "
QUICKTIME_ATOMS = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
"""What a QuickTime file older than brands may begin with."""


def sniff(head: bytes) -> str | None:
    """One of ``PICTURES`` or ``VIDEOS``, or None."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head[:4] == b"RIFF":
        return {b"WEBP": "WEBP", b"AVI ": "AVI"}.get(head[8:12])
    if head.startswith(ASF):
        return "WMV"
    if head.startswith(EBML):
        return "WEBM" if b"\x42\x82\x84webm" in head[:HEAD] else None
    return _boxes(head)


def picture_kind(head: bytes) -> str:
    """One of ``PICTURES``. Raises ``BadMedia``."""
    kind = sniff(head)
    if kind in PICTURES:
        return kind
    if kind:
        raise BadMedia(f"the file is a video, {kind}; as a picture only {PICTURE_NAMES} are accepted")
    if _is_markup(head):
        raise BadMedia(f"the file is SVG or other markup, which is not accepted; send {PICTURE_NAMES}")
    raise BadMedia(f"the file is no {PICTURE_NAMES}")


def video_kind(head: bytes) -> str:
    """One of ``VIDEOS``. Raises ``BadMedia``."""
    kind = sniff(head)
    if kind in VIDEOS:
        return kind
    if kind:
        raise BadMedia(f"the file is a picture, {kind}; as a video only {VIDEO_NAMES} are accepted")
    raise BadMedia(f"the file is no {VIDEO_NAMES}")


def _boxes(head: bytes) -> str | None:
    """Of ISO's base media format, by its brands: the first that we know. Source: ISO/IEC 14496-12, 4.3."""
    if head[4:8] in QUICKTIME_ATOMS:
        return "MOV"
    if head[4:8] != b"ftyp":
        return None
    size = int.from_bytes(head[:4], "big")
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(size, HEAD, len(head)), 4))]
    if AVIF_BRANDS & set(brands):
        return "AVIF"
    if brands[0] in HEIF_BRANDS:
        return "HEIF"
    return "MOV" if brands[0] == QUICKTIME_BRAND else "MP4"


def _is_markup(head: bytes) -> bool:
    return head[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(MARKUP)
