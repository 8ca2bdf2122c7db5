"""Files that are made to do harm: what a render process spends on them, and that it answers."""

import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from streams.media.jobs import Failed, Job, Rendered, Reply
from streams.media.render_worker import limits_of
from streams.settings import Settings
from tests.pictures import encoded, photo

MB = 1024 * 1024
MEASURE = """
import resource, sys
from pathlib import Path
import msgspec
from streams.media.jobs import Job, Limits
from streams.media.render_process import answer

reply = answer(msgspec.json.decode(sys.argv[2], type=Job), msgspec.json.decode(sys.argv[1], type=Limits))
used = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss: that of the process that forked this one counts there, too.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) * 1024, used.ru_utime + used.ru_stime)
print(msgspec.json.encode(reply).decode())
"""


def spent(path: Path, folder: Path) -> tuple[int, float, Reply]:
    """Memory in bytes and processor seconds of a process that renders this file, all of it included; its answer."""
    limits = limits_of(Settings.load({}).media)
    job = Job("7", path.name, str(path), str(folder))
    command = [sys.executable, "-c", MEASURE, msgspec.json.encode(limits).decode(), msgspec.json.encode(job).decode()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    figures, reply = done.stdout.splitlines()
    memory, seconds = figures.split()
    return int(memory), float(seconds), msgspec.json.decode(reply, type=Reply)


def _png(side: int) -> bytes:
    return encoded(Image.new("1", (side, side)), "PNG")


def _jpeg(side: int) -> bytes:
    """A small picture whose head says that it is large."""
    content = bytearray(encoded(photo(64, 64)))
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", side, side)
    return bytes(content)


def _gif(side: int) -> bytes:
    content = bytearray(encoded(photo(64, 64), "GIF"))
    content[6:10] = struct.pack("<HH", side, side)
    return bytes(content)


def _webp(side: int) -> bytes:
    """All head: its decoder would take the canvas before it reads on."""
    head = b"VP8X" + (10).to_bytes(4, "little") + bytes(4) + (side - 1).to_bytes(3, "little") * 2
    return b"RIFF" + (22).to_bytes(4, "little") + b"WEBP" + head


def _avif(side: int) -> bytes:
    """A small picture whose boxes say that it is large."""
    content = bytearray(encoded(photo(64, 64), "AVIF"))
    at = content.index(b"ispe") + 8
    content[at : at + 8] = struct.pack(">II", side, side)
    return bytes(content)


@pytest.mark.parametrize("make", [_png, _jpeg, _gif, _webp, _avif])
@pytest.mark.parametrize("side", [9434, 20_000], ids=["89 megapixels", "400 megapixels"])
def test_a_bomb_costs_little(tmp_path: Path, make: Callable[[int], bytes], side: int) -> None:
    (tmp_path / "bomb").write_bytes(make(side))

    memory, seconds, reply = spent(tmp_path / "bomb", tmp_path)

    assert isinstance(reply, Failed) and reply.kind == "bad"
    assert make is _avif or "pixels; at most 25,000,000 are accepted" in reply.reason
    assert memory < 300 * MB and seconds < 2, (memory // MB, seconds)


def test_the_largest_picture_that_is_accepted_stays_within_its_memory(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(encoded(photo(5000, 5000, "RGBA"), "PNG", compress_level=1))

    memory, _, reply = spent(tmp_path / "large", tmp_path)

    assert isinstance(reply, Rendered)
    assert memory < 400 * MB, memory // MB


def test_a_gif_of_many_frames_is_not_read_to_its_end(tmp_path: Path) -> None:
    frames = [Image.new("P", (500, 500), number % 200) for number in range(2)]
    whole = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=20)
    first = whole.index(b"\x21\xf9")
    (tmp_path / "many").write_bytes(whole[:-1] + whole[first:-1] * 4000 + b";")

    memory, seconds, reply = spent(tmp_path / "many", tmp_path)

    assert isinstance(reply, Rendered) and reply.frames == 1
    assert memory < 300 * MB and seconds < 6, (memory // MB, seconds)


def test_a_large_text_in_a_png_is_an_outcome(tmp_path: Path) -> None:
    content = _png(10)
    text = b"Comment\0\0" + zlib.compress(bytes(80 * MB))
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    (tmp_path / "text").write_bytes(content[:33] + chunk + content[33:])

    memory, _, reply = spent(tmp_path / "text", tmp_path)

    assert isinstance(reply, Failed) and reply.kind == "bad"
    assert memory < 300 * MB


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF"])
def test_noise_in_a_picture_is_an_outcome(tmp_path: Path, kind: str) -> None:
    whole = encoded(photo(200, 150), kind)

    content = bytearray(whole)
    for at in range(40, len(content), 97):
        content[at] ^= 0x5A
    (tmp_path / "noise").write_bytes(content)

    reply = spent(tmp_path / "noise", tmp_path)[2]

    assert isinstance(reply, Rendered) or reply.kind == "bad"
