"""Main program that finds out what this installation can read and write, by doing it: one line of JSON.

A wheel may come without a codec, and a library of the system may be in the way of one. What does not work is said at
start, and not by the first user's upload.
"""

import base64
import io
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
from PIL import Image

from streams.media.jobs import Formats
from streams.media.opening import describe, open_picture
from streams.media.recipe import AVIF, WEBP, Encoding
from streams.media.sniffing import PICTURES

# Of one colour, 64 x 64. The decoder that we take cannot write one.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAVZtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
    "ACJpbG9jAAAAAERAAAEAAQAAAAABegABAAAAAAAAABgAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRt"
    "AAAAAAABAAAA1mlwcnAAAAC3aXBjbwAAAHhodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMA"
    "AAMAHroCQGEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqSSmubgIaDAgAAAMAyAAAAwAIQGIAAQAHRAHBcrAiQAAAABNjb2xy"
    "bmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAABBwaXhpAAAAAAMICAgAAAAXaXBtYQAAAAAAAAABAAEEgQIDBAAAACBt"
    "ZGF0AAAAFCgBrwQY/Hk46//2gz9zQFukBHQ4"
)

CODINGS = {
    **{"H.264": "h264", "HEVC": "hevc", "MPEG-4": "mpeg4", "VP8": "vp8", "VP9": "vp9", "AV1": "libdav1d"},
    **{"WMV 1": "wmv1", "WMV 2": "wmv2", "WMV 3": "wmv3", "VC-1": "vc1", "AAC": "aac", "MP3": "mp3float"},
    **{"Opus": "opus", "Vorbis": "vorbis", "WMA": "wmav2"},
}
"""What is in the videos that we accept -> FFmpeg's decoder of it."""


def probe() -> Formats:
    """Try each picture format and each way of writing; look each decoder of videos up."""
    problems: dict[str, str] = {}
    reads = [kind for kind in PICTURES if _works(problems, f"read {kind}", partial(_read, kind))]
    reads += [name for name, coding in CODINGS.items() if _works(problems, f"read {name}", partial(_decoder, coding))]
    writes = [
        encoding.format.upper()
        for encoding in (WEBP, AVIF)
        if _works(problems, f"write {encoding.format.upper()}", partial(_write, encoding))
    ]
    if _works(problems, "write MP4", _write_video):
        writes.append("MP4")
    return Formats(reads, writes, problems)


def _works(problems: dict[str, str], name: str, attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        problems[name] = f"{type(error).__name__}: {describe(error)}"
        return False
    return True


def _picture() -> Image.Image:
    return Image.new("RGB", (64, 64), (200, 60, 30))


def _read(kind: str) -> None:
    content = HEIC if kind == "HEIF" else _encoded(kind)
    open_picture(content, 64 * 64).image.load()


def _encoded(kind: str) -> bytes:
    file = io.BytesIO()
    _picture().save(file, kind)
    return file.getvalue()


def _write(encoding: Encoding) -> None:
    file = io.BytesIO()
    _picture().save(file, encoding.format.upper(), **encoding.options)
    open_picture(file.getvalue(), 64 * 64).image.load()


def _decoder(name: str) -> None:
    from av.codec import Codec  # noqa: PLC0415 - FFmpeg may be what is missing

    Codec(name, "r")


def _write_video() -> None:
    """Two frames with sound, coded and read again."""
    from streams.media.video_trial import write_and_read  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory(prefix="tailrace-probe-") as folder:
        write_and_read(Path(folder) / "trial.mp4", _picture())


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(probe()) + b"\n")
