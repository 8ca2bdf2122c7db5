"""What the worker asks of a render process and what that answers: one line of JSON each."""

from typing import Literal

import msgspec


class Job(msgspec.Struct, frozen=True):
    """Make every rendition of the picture that is at ``path`` on this machine and at the key ``source`` in the
    storage, and write them into ``folder``.
    """

    post_id: str
    source: str
    path: str
    folder: str


class Rendition(msgspec.Struct, frozen=True):
    """One file: ``key`` is where it belongs, and the last part of that its name in the job's folder. ``bytes`` is
    its length.
    """

    variant: str
    key: str
    width: int
    height: int
    bytes: int
    format: str
    recipe: str

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]


class Rendered(msgspec.Struct, frozen=True, tag=True):
    """Every file is in the job's folder. ``width`` and ``height`` are the picture's, as a viewer sees it."""

    width: int
    height: int
    renditions: list[Rendition]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """None was made for a ``reason``; ``kind`` says whose fault that is, as in ``streams.media.errors``."""

    kind: Literal["bad", "missing", "crashed"]
    reason: str


Reply = Rendered | Failed

READY = b"ready\n"
"""The first line of a process: everything is imported, the limits hold."""
