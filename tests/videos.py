"""Small videos, made here: a picture that changes, with a tone."""

import math
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from tests.pictures import four_corners

RATE = 48_000

STORED = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
"""How a frame is stored that is upright when it is turned counter-clockwise by so much."""


def video(
    path: Path,
    *,
    size: tuple[int, int] = (64, 48),
    frames: int = 20,
    fps: int = 10,
    codec: str = "libx264",
    sound: str | None = "aac",
    form: str | None = None,
    metadata: dict[str, str] | None = None,
    rotation: int = 0,
    **options: Any,
) -> bytes:
    """Written to ``path``, whose name says the container unless ``form`` does; its content."""
    with av.open(str(path), "w", format=form) as output:
        output.metadata.update(metadata or {})
        stream = cast(VideoStream, output.add_stream(codec, rate=fps, options=options.pop("options", {})))
        stored = size[::-1] if rotation in (90, 270) else size
        stream.width, stream.height, stream.pix_fmt = *stored, options.pop("pix_fmt", "yuv420p")
        stream.codec_context.thread_count = 1
        if "aspect" in options:
            stream.codec_context.sample_aspect_ratio = options.pop("aspect")
        if rotation:
            stream.set_display_rotation(rotation)
        tone = None
        if sound:
            tone = cast(AudioStream, output.add_stream(sound, rate=RATE, layout="mono", bit_rate=64_000))
        for number in range(frames):
            frame = _frame(size, stream.pix_fmt or "yuv420p", number, rotation)
            frame.pts, frame.time_base = number, Fraction(1, fps)
            output.mux(stream.encode(frame))
            if tone:
                for part in _tone(number, fps):
                    output.mux(tone.encode(part))
        if tone:
            output.mux(tone.encode(None))
        output.mux(stream.encode(None))
    return path.read_bytes()


def tone_only(path: Path) -> None:
    """A second of it."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=RATE, layout="mono")
        for part in _tone(0, 1):
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))


def _frame(size: tuple[int, int], pix_fmt: str, number: int, rotation: int) -> VideoFrame:
    """Four corners, as they are stored; what changes is a bar at the top."""
    image = four_corners(*size)
    image.paste((255, 255, 255), (0, 0, 1 + number % size[0], 2))
    if rotation:
        image = image.transpose(STORED[rotation])
    frame: VideoFrame = VideoFrame.from_image(image)  # type: ignore[no-untyped-call]
    return frame.reformat(format=pix_fmt)


def _tone(number: int, fps: int) -> list[AudioFrame]:
    count = RATE // fps
    samples = (int(8000 * math.sin(2 * math.pi * 440 * (number * count + at) / RATE)) for at in range(count))
    frame = AudioFrame(format="s16", layout="mono", samples=count)
    frame.planes[0].update(struct.pack(f"<{count}h", *samples))
    frame.sample_rate, frame.pts, frame.time_base = RATE, number * count, Fraction(1, RATE)
    return [frame]
