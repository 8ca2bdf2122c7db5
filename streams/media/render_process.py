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
from typing import BinaryIO

import msgspec

from streams.media.errors import BadMedia, MissingMedia
from streams.media.jobs import READY, Failed, Job, Limits, Reply
from streams.media.opening import describe
from streams.media.render_job import do

PR_SET_PDEATHSIG = 1

NAMES = {"image": "picture", "video": "video"}
LARGEST_FILE = 4
"""How many times the largest video a written file may be."""


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
    largest = limits.video.max_bytes * LARGEST_FILE
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    _send(replies, READY)
    decoder = msgspec.json.Decoder(Job)
    for line in sys.stdin.buffer:
        _send(replies, msgspec.json.encode(answer(decoder.decode(line), limits)) + b"\n")


def answer(job: Job, limits: Limits) -> Reply:
    """Make the renditions; whatever goes wrong is an answer as well."""
    bounds = limits.image if job.kind == "image" else limits.video
    try:
        with _processor_time(bounds.processor_seconds):
            return do(job, limits)
    except BadMedia as error:
        return Failed("bad", str(error))
    except MissingMedia as error:
        return Failed("missing", str(error))
    except MemoryError:
        return Failed("bad", f"the {NAMES[job.kind]} needs more than {limits.max_memory_mb} MB of memory to decode")
    except OSError as error:
        return Failed("crashed", f"renditions could not be read or written: {describe(error)}")


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
