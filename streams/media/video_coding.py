"""From any video that we read to one that every browser plays: H.264 and AAC in MP4, at most 720p."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streams.media.errors import BadMedia
from streams.media.turning import Turn
from streams.media.video_source import Source

LONG, SHORT = 1280, 720
"""Of the longer and the shorter side at most."""

CLOCK = Fraction(1, 90_000)
OPTIONS = {"preset": "veryfast", "crf": "23", "profile": "high"}
SAMPLE_RATES = (48_000, 44_100, 32_000, 24_000, 22_050, 16_000)
AUDIO_BITS = 128_000

MAX_BROKEN = 10
"""Packets that may be broken: cameras that are switched off leave some."""

ENOUGH = 0.9
"""Of its declared length a video must have, or it was cut while it was sent."""


@dataclass(frozen=True)
class Coded:
    """The file is written. ``size`` is its own, ``seconds`` its length."""

    size: tuple[int, int]
    seconds: float
    frames: int
    passed_through: bool


def target_size(shown: tuple[int, int]) -> tuple[int, int]:
    """At most 720p, never enlarged but for even sides of two pixels at least."""
    scale = min(1.0, LONG / max(shown), SHORT / min(shown))
    width, height = (max(2, int(side * scale + 0.5) // 2 * 2) for side in shown)
    return width, height


def is_web_video(source: Source, turn: Turn) -> bool:
    """Whether every browser plays it as it is."""
    video, audio = source.video.codec_context, source.audio
    plain = source.kind in ("MP4", "MOV") and turn.is_none and source.pixel_aspect == 1
    coded = video.name == "h264" and video.pix_fmt in ("yuv420p", "yuvj420p")
    sound = len(source.container.streams.audio) == 0 or (audio is not None and audio.codec_context.name == "aac")
    return plain and coded and sound and (video.width, video.height) == target_size((video.width, video.height))


def write_video(source: Source, turn: Turn, path: Path) -> Coded:
    """Raises ``BadMedia`` for a video that is at fault, or too much as it is decoded."""
    # The index first, so that it plays while it loads; nothing in it that another run would write otherwise.
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as output:
        coded = _copied(source, output) if is_web_video(source, turn) else _Coder(source, turn, output).run()
    if not coded.frames:
        raise BadMedia("the video has no frame that can be decoded")
    if source.seconds and coded.seconds < source.seconds * ENOUGH - 1:
        raise BadMedia(f"the video ends after {coded.seconds:.1f} of {source.seconds:.1f} s: it is not complete")
    return coded


def _copied(source: Source, output: OutputContainer) -> Coded:
    """Streams as they are, in a container of our own: without metadata, positions and other streams."""
    streams = [source.video, *([source.audio] if source.audio else [])]
    copies = {stream.index: output.add_stream_from_template(stream) for stream in streams}
    frames, end = 0, 0.0
    for packet in source.container.demux(*streams):
        if packet.dts is None:
            continue
        if packet.stream_index == source.video.index:
            frames, end = frames + 1, max(end, _end_of(packet))
            source.caps.check_frames(frames)
            source.caps.check_seconds(end)
        packet.stream = copies[packet.stream_index]
        output.mux(packet)
    size = source.video.codec_context.width, source.video.codec_context.height
    return Coded(size, end, frames, passed_through=True)


def _end_of(packet: "Packet[Any]") -> float:
    shown = packet.pts if packet.pts is not None else packet.dts
    return float(((shown or 0) + (packet.duration or 0)) * packet.time_base)


class _Coder:
    """Decodes and codes anew, frame by frame."""

    def __init__(self, source: Source, turn: Turn, output: OutputContainer) -> None:
        self._source, self._turn, self._output = source, turn, output
        self.size = target_size(turn.shown)
        self._video: VideoStream = output.add_stream("libx264", rate=source.rate, options=OPTIONS)
        self._video.width, self._video.height = self.size
        self._video.pix_fmt = "yuv420p"
        self._video.codec_context.time_base = CLOCK
        self._video.codec_context.thread_count = 1
        self._audio, self._resampler = self._sound()
        self._frames, self._last, self._heard, self._broken = 0, -1, 0, 0

    def run(self) -> Coded:
        """The whole of it."""
        for packet in self._packets():
            for frame in self._decoded(packet):
                if isinstance(frame, VideoFrame):
                    self._code(frame)
                elif isinstance(frame, AudioFrame):
                    self._code_sound(frame)
        if self._audio:
            self._code_sound(None)
            self._output.mux(self._audio.encode(None))
        self._output.mux(self._video.encode(None))
        end = self._last * CLOCK + 1 / self._source.rate if self._frames else 0
        return Coded(self.size, float(end), self._frames, passed_through=False)

    def _packets(self) -> Iterator["Packet[Any]"]:
        source = self._source
        streams = (source.video, source.audio) if source.audio else (source.video,)
        yield from source.container.demux(*streams)

    def _decoded(self, packet: "Packet[Any]") -> list[VideoFrame | AudioFrame]:
        try:
            return list(packet.decode())
        except (FFmpegError, ValueError) as error:
            self._broken += 1
            if self._broken > MAX_BROKEN:
                raise BadMedia(f"more than {MAX_BROKEN} parts of the video are broken: {error}") from error
            return []

    def _code(self, frame: VideoFrame) -> None:
        self._frames += 1
        self._source.caps.check_frames(self._frames)
        self._source.caps.check_size(frame.width, frame.height)
        shown = self._shown_at(frame)
        if shown <= self._last:
            return  # a clock that goes back: players would not know what to do either
        self._source.caps.check_seconds(float(shown * CLOCK))
        self._last = shown
        turned = self._turn.applied(frame, self.size)
        turned.pts, turned.time_base = shown, CLOCK
        self._output.mux(self._video.encode(turned))

    def _shown_at(self, frame: VideoFrame) -> int:
        if frame.pts is not None and frame.time_base:
            return round(frame.pts * frame.time_base / CLOCK)
        return max(self._last, 0) + round(1 / self._source.rate / CLOCK)

    def _sound(self) -> tuple[AudioStream | None, AudioResampler | None]:
        if self._source.audio is None:
            return None, None
        context = self._source.audio.codec_context
        rate = next((rate for rate in SAMPLE_RATES if rate <= context.sample_rate), SAMPLE_RATES[-1])
        layout = "mono" if context.layout.nb_channels == 1 else "stereo"
        audio: AudioStream = self._output.add_stream("aac", rate=rate, layout=layout)
        audio.bit_rate = AUDIO_BITS // (2 if layout == "mono" else 1)
        audio.codec_context.thread_count = 1
        return audio, AudioResampler("fltp", layout, rate, frame_size=1024)

    def _code_sound(self, frame: AudioFrame | None) -> None:
        if self._audio and self._resampler:
            for part in self._resampler.resample(frame):
                clock = Fraction(1, part.sample_rate)
                told = round(part.pts * part.time_base / clock) if part.pts and part.time_base else 0
                self._heard = max(told, self._heard)
                self._source.caps.check_seconds(float(self._heard * clock))
                part.pts, part.time_base = self._heard, clock
                self._heard += part.samples
                self._output.mux(self._audio.encode(part))
