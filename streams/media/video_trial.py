"""A video of two frames, coded as ours are and read again: whether this installation can do it."""

from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from PIL import Image

from streams.media.video_coding import CLOCK, OPTIONS
from streams.media.video_source import Caps, open_video

RATE, SAMPLES = 48_000, 1024


def write_and_read(path: Path, image: Image.Image) -> None:
    """Raises whatever is in the way."""
    with av.open(str(path), "w", format="mp4") as output:
        video = output.add_stream("libx264", rate=10, options=OPTIONS)
        video.width, video.height, video.pix_fmt = image.width, image.height, "yuv420p"
        video.codec_context.time_base = CLOCK
        audio = output.add_stream("aac", rate=RATE, layout="mono")
        for number in range(2):
            frame: VideoFrame = VideoFrame.from_image(image)  # type: ignore[no-untyped-call]
            frame.pts, frame.time_base = number, Fraction(1, 10)
            output.mux(video.encode(frame.reformat(format="yuv420p")))
            sound = AudioFrame(format="fltp", layout="mono", samples=SAMPLES)
            sound.planes[0].update(bytes(sound.planes[0].buffer_size))
            sound.sample_rate, sound.pts, sound.time_base = RATE, number * SAMPLES, Fraction(1, RATE)
            output.mux(audio.encode(sound))
        output.mux(audio.encode(None))
        output.mux(video.encode(None))
    with open_video(path, Caps(10, 100, image.width * image.height)) as source:
        frames = sum(1 for _ in source.frames())
    if frames != 2:
        raise ValueError(f"2 frames were written and {frames} read")
