"""Main program of a process that decodes pictures. Its input is hostile and it may be killed at any time.

It takes jobs from standard input until that ends, and dies with the worker that started it.
"""

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from streams.media.errors import BadMedia, MissingMedia
from streams.media.jobs import READY, Failed, Job, Rendered, Rendition, Reply
from streams.media.opening import describe
from streams.media.paths import check_size, rendition_key, shown
from streams.media.recipe import WEBP_1
from streams.media.rendering import render

PR_SET_PDEATHSIG = 1


class Limits(msgspec.Struct, frozen=True):
    """How far a process may go; the only argument of the program, as JSON."""

    parent: int
    max_bytes: int
    max_pixels: int
    max_memory_mb: int
    max_processor_seconds: float


def main() -> None:
    """Answer each job until standard input ends."""
    limits = msgspec.json.decode(sys.argv[1], type=Limits)
    _die_with(limits.parent)
    # Whoever stops the worker stops this through it, also when the whole group gets the signal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    replies = _private_output()
    memory = limits.max_memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _send(replies, READY)
    decoder = msgspec.json.Decoder(Job)
    for line in sys.stdin.buffer:
        _send(replies, msgspec.json.encode(answer(decoder.decode(line), limits)) + b"\n")


def answer(job: Job, limits: Limits) -> Reply:
    """Make the renditions and write them; whatever goes wrong is an answer as well."""
    try:
        return _rendered(job, limits)
    except BadMedia as error:
        return Failed("bad", str(error))
    except MissingMedia as error:
        return Failed("missing", str(error))
    except MemoryError:
        return Failed("bad", f"the picture needs more than {limits.max_memory_mb} MB of memory to decode")
    except OSError as error:
        return Failed("crashed", f"renditions could not be read or written: {describe(error)}")


def _rendered(job: Job, limits: Limits) -> Rendered:
    content = _read(job, limits.max_bytes)
    with _processor_time(limits.max_processor_seconds):
        (width, height), pictures = render(content, WEBP_1, limits.max_pixels)
    renditions = []
    for picture in pictures:
        name = picture.variant.name
        key = rendition_key(job.post_id, job.source, content, WEBP_1, picture.variant)
        size = len(picture.content)
        made = Rendition(name, key, picture.width, picture.height, size, "webp", WEBP_1.name)
        Path(job.folder, made.name).write_bytes(picture.content)
        renditions.append(made)
    return Rendered(width, height, renditions)


def _read(job: Job, max_bytes: int) -> bytes:
    try:
        with Path(job.path).open("rb") as file:
            content = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise MissingMedia(f"{shown(job.source)} was deleted while it was read") from None
    check_size(len(content), max_bytes)
    return content


@contextmanager
def _processor_time(seconds: float) -> Iterator[None]:
    """Die by SIGPROF if the block takes more of it. Time in which the machine does something else, or waits for
    a disk, does not count.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, however that dies."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the worker that started this process is gone")


def _private_output() -> BinaryIO:
    """The pipe to the worker, out of reach of libraries that print."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def _send(replies: BinaryIO, line: bytes) -> None:
    replies.write(line)
    replies.flush()


if __name__ == "__main__":
    main()
