"""What the worker asks of a render process and what that answers: one line of JSON each."""

from typing import Literal

import msgspec

from schemas.events import AssetRendition

Kind = Literal["image", "video"]


class Job(msgspec.Struct, frozen=True):
    """Make every rendition of the file that is at ``path`` on this machine and at the key ``source`` in the
    storage, and write them into ``folder``. ``focus`` is what a crop keeps, from 0 to 1 from the top left.
    """

    post_id: str
    source: str
    path: str
    folder: str
    kind: Kind = "image"
    focus: tuple[float, float] | None = None


class Rendition(AssetRendition, frozen=True):
    """One file: ``key`` is where it belongs, and the last part of that its name in the job's folder."""

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]


class Rendered(msgspec.Struct, frozen=True, tag=True):
    """Every file is in the job's folder. ``width`` and ``height`` are the original's, as a viewer sees it;
    ``digest`` names its content. ``colour`` is #rrggbb; of a video both are the poster's. ``frames`` is how many move.
    """

    kind: Kind
    format: str
    digest: str
    width: int
    height: int
    blurhash: str
    colour: str
    renditions: list[Rendition]
    frames: int = 1
    duration_ms: int | None = None
    passed_through: bool = False


class Failed(msgspec.Struct, frozen=True, tag=True):
    """None was made for a ``reason``; ``kind`` says whose fault that is, as in ``streams.media.errors``."""

    kind: Literal["bad", "missing", "crashed"]
    reason: str


Reply = Rendered | Failed

READY = b"ready\n"
"""The first line of a process: everything is imported, the limits hold."""


class Bounds(msgspec.Struct, frozen=True):
    """How far a job may go: bytes of its file, and seconds of processor time."""

    max_bytes: int
    processor_seconds: float


class Limits(msgspec.Struct, frozen=True):
    """How far a process may go; the only argument of its program, as JSON."""

    parent: int
    max_memory_mb: int
    image: Bounds
    video: Bounds
    max_pixels: int
    max_frames: int
    max_moving_pixels: int
    avif: bool
    video_max_seconds: float
    video_max_pixels: int
    video_max_frames: int


class Formats(msgspec.Struct, frozen=True):
    """What works here, and why the rest does not."""

    reads: list[str]
    writes: list[str]
    problems: dict[str, str]
