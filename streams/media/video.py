"""A video's poster, in the sizes of a picture, and the file that pages play."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from av.video.frame import VideoFrame
from PIL import Image

from streams.media.errors import BadMedia
from streams.media.opening import describe
from streams.media.recipe import Plan
from streams.media.rendering import Gallery, render_still
from streams.media.turning import Turn
from streams.media.video_coding import Coded, write_video
from streams.media.video_source import Caps, Source, open_video

DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE}

POSTER_AT = 1.0
"""Seconds: the first frame is often black."""

LOOKED_AT = 300
"""Frames that are decoded to get there at most."""


@dataclass(frozen=True)
class Made:
    """``size`` is the video's, as a viewer sees it."""

    kind: str
    size: tuple[int, int]
    poster: Gallery
    coded: Coded


def make_video(path: Path, into: Path, plan: Plan, caps: Caps) -> Made:
    """The poster's renditions, and the video written to ``into``. Raises ``BadMedia``; ``MemoryError`` passes."""
    try:
        with open_video(path, caps) as source:
            turn, image = _poster(source)
        with open_video(path, caps) as source:
            coded = write_video(source, turn, into)
            return Made(source.kind, turn.shown, render_still(image, plan), coded)
    except (MemoryError, BadMedia):
        raise
    except Exception as error:
        # Of any class: what a decoder raises for a stranger's file is the file's fault. A full disk is not.
        if isinstance(error, OSError) and error.errno in DISK:
            raise OSError(error.errno, os.strerror(error.errno)) from error
        raise BadMedia(f"the video cannot be decoded: {describe(error)}") from error


def _poster(source: Source) -> tuple[Turn, Image.Image]:
    """From the first second, or from the middle of what is shorter."""
    wanted = min(POSTER_AT, (source.seconds or 0) / 2)
    chosen: VideoFrame | None = None
    for number, frame in enumerate(source.frames()):
        chosen = frame
        if (frame.time or 0) >= wanted or number >= LOOKED_AT:
            break
    if chosen is None:
        raise BadMedia("the video has no frame that can be decoded")
    turn = Turn.of(chosen, source.pixel_aspect)
    return turn, turn.picture(chosen)
