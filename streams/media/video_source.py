"""A video that is safe to decode: its container and codecs are among those that we know, and its size is bounded.

FFmpeg finds out by itself what a file is, and some kinds of file name others to open: playlists, concatenations,
references. So the demuxer is the one of the sniffed kind, and whatever it asks to open is refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streams.media.errors import BadMedia
from streams.media.opening import describe
from streams.media.sniffing import HEAD, video_kind

DEMUXERS = {"MP4": "mov", "MOV": "mov", "AVI": "avi", "WMV": "asf", "WEBM": "matroska"}

VIDEO_DECODERS = {
    *("h264", "hevc", "mpeg4", "msmpeg4v1", "msmpeg4v2", "msmpeg4", "wmv1", "wmv2", "wmv3", "vc1", "h263", "mjpeg"),
    *("vp8", "vp9", "libdav1d", "av1", "mpeg1video", "mpeg2video"),
}
AUDIO_DECODERS = {
    *("aac", "mp3float", "mp3", "mp2", "ac3", "eac3", "wmav1", "wmav2", "wmapro", "opus", "vorbis", "flac", "alac"),
    *("pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_u8", "pcm_f32le", "pcm_alaw", "pcm_mulaw", "amrnb", "amrwb"),
    *("libopus", "adpcm_ms", "adpcm_ima_wav", "libopencore_amrnb", "libopencore_amrwb"),
}
"""What cameras and phones write. Other decoders are seldom needed and seldom tested: rather a risk than a service."""


BUFFER = 256 * 1024


@dataclass(frozen=True)
class Caps:
    """How far a video may go: declared, and as it is decoded."""

    max_seconds: float
    max_frames: int
    max_pixels: int

    def check_seconds(self, seconds: float) -> None:
        """Raises ``BadMedia`` for a longer one."""
        if seconds > self.max_seconds:
            raise BadMedia(f"the video takes more than {self.max_seconds:g} s, which is the most that is accepted")

    def check_frames(self, frames: int) -> None:
        """Raises ``BadMedia`` for more."""
        if frames > self.max_frames:
            raise BadMedia(f"the video has more than {self.max_frames:,} frames, which is the most that is accepted")

    def check_size(self, width: int, height: int) -> None:
        """Raises ``BadMedia`` for a frame that is nothing, or too large."""
        if width < 1 or height < 1:
            raise BadMedia(f"the video is {width} x {height} pixels")
        if width * height > self.max_pixels:
            raise BadMedia(
                f"the video is {width} x {height} = {width * height:,} pixels; at most {self.max_pixels:,} are accepted"
            )


@dataclass(frozen=True)
class Source:
    """An open video. ``audio`` is None where there is none that we decode."""

    kind: str
    container: InputContainer
    video: VideoStream
    audio: AudioStream | None
    caps: Caps

    @property
    def seconds(self) -> float | None:
        """As the container declares it; it may be wrong."""
        if self.container.duration:
            return self.container.duration / 1_000_000
        if self.video.duration and self.video.time_base:
            return float(self.video.duration * self.video.time_base)
        return None

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel by its height."""
        aspect = self.video.sample_aspect_ratio
        return aspect if aspect and Fraction(1, 8) <= aspect <= 8 else Fraction(1)

    @property
    def rate(self) -> Fraction:
        """Frames a second, roughly."""
        rate = self.video.average_rate or self.video.guessed_rate
        return rate if rate and 1 <= rate <= 240 else Fraction(30)

    def frames(self) -> Iterator[VideoFrame]:
        """The video's frames from where it stands, each within the caps."""
        for frame in self.container.decode(self.video):
            self.caps.check_size(frame.width, frame.height)
            yield frame


@contextmanager
def open_video(path: Path, caps: Caps) -> Iterator[Source]:
    """Raises ``BadMedia`` for what is none of the accepted kinds, cannot be read or is too much."""
    with path.open("rb") as file:
        kind = video_kind(file.read(HEAD))
    with open_as(path, kind) as container:
        video = _video_of(kind, container)
        source = Source(kind, container, video, _audio_of(container), caps)
        caps.check_size(video.codec_context.width, video.codec_context.height)
        caps.check_frames(video.frames)
        caps.check_seconds(source.seconds or 0)
        yield source


@contextmanager
def open_as(path: Path, kind: str) -> Iterator[InputContainer]:
    """The file through the demuxer of its kind, which can open nothing else."""
    with path.open("rb") as file, _opened(file, kind) as container:
        yield container


def _opened(file: BinaryIO, kind: str) -> InputContainer:
    try:
        return av.open(
            file,
            "r",
            format=DEMUXERS[kind],
            options={
                "protocol_whitelist": "file",
                "codec_whitelist": ",".join(sorted(VIDEO_DECODERS | AUDIO_DECODERS)),
                "max_pixels": str(1 << 28),
            },
            metadata_errors="replace",
            buffer_size=BUFFER,
            io_open=_refuse_to_open,
        )
    except MemoryError:
        raise
    except Exception as error:
        raise BadMedia(f"the {kind} cannot be read: {describe(error)}") from error


def _refuse_to_open(url: str, *_: Any) -> NoReturn:
    raise PermissionError(f"the file names another to open: {url[:60]!r}")


def _video_of(kind: str, container: InputContainer) -> VideoStream:
    found = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not found:
        raise BadMedia(f"the {kind} has no video in it")
    best = max(found, key=lambda stream: stream.codec_context.width * stream.codec_context.height)
    name = best.codec_context.name
    if name not in VIDEO_DECODERS:
        raise BadMedia(f"the video is coded as {name}, which is not accepted")
    # One thread: as many videos are coded at once as there are processes, and each stays within its memory.
    best.codec_context.thread_count = 1
    return best


def _audio_of(container: InputContainer) -> AudioStream | None:
    for stream in container.streams.audio:
        if stream.codec_context.name in AUDIO_DECODERS and stream.codec_context.sample_rate > 0:
            stream.codec_context.thread_count = 1
            return stream
    return None
