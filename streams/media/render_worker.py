"""One render process as the worker sees it: a job in, a reply out, or dead."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from datetime import timedelta
from pathlib import Path

import msgspec

from streams.durations import format_duration
from streams.media.errors import BadMedia, RenderCrashed
from streams.media.jobs import READY, Bounds, Job, Limits, Reply
from streams.task_settings import Media

START_DEADLINE = timedelta(seconds=20)

SECRETIVE = ("TAILRACE_", "AWS_", "GOOGLE_", "AZURE_", "PG")
"""How variables begin that may hold a password: ours, those of the stores and of PostgreSQL."""

CONTENTS_FAULT = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}
"""A decoder that ends so does it again on the same bytes."""


class RenderWorker:
    """Owns one process. After an exception of ``ask`` the process is dead or dying, and a new one is needed."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._decoder: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)
        self.jobs = 0

    @classmethod
    async def start(cls, media: Media) -> "RenderWorker":
        """A process that is ready. Raises ``RenderCrashed`` if it does not get there."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "streams.media.render_process", msgspec.json.encode(limits_of(media)).decode()),
            stdin=PIPE,
            stdout=PIPE,
            # Where our packages are, so that `-m` finds them however the worker itself was started.
            cwd=Path(__file__).parents[2],
            env=without_settings(),
        )
        worker = cls(process)
        try:
            async with asyncio.timeout(START_DEADLINE.total_seconds()):
                line = await worker._line()
        except BaseException as error:
            await worker.kill()
            if isinstance(error, TimeoutError):
                raise RenderCrashed(f"a render process was not ready in {START_DEADLINE}") from error
            raise
        if line != READY:
            raise await worker._crash("while it started")
        return worker

    @property
    def alive(self) -> bool:
        """Whether it runs. The kernel is asked: the event loop hears of a death only later."""
        if self._process.returncode is not None:
            return False
        try:
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:
            return False

    async def ask(self, job: Job, patience: timedelta, processor_time: timedelta) -> Reply:
        """The process's reply. Kills it when there is none within ``patience``, or when the caller is cancelled.

        Raises ``BadMedia`` if the content took too much processor time, and ``RenderCrashed`` if the process
        got none, or waited for a disk: that is no fault of the content.
        """
        assert self._process.stdin
        self.jobs += 1
        try:
            async with asyncio.timeout(patience.total_seconds()):
                self._process.stdin.write(msgspec.json.encode(job) + b"\n")
                line = await self._line()
        except BaseException as error:
            await self.kill()
            if isinstance(error, TimeoutError):
                raise RenderCrashed(f"a render process did not answer within {format_duration(patience)}") from error
            raise
        if not line.endswith(b"\n"):
            raise await self._crash("at work", f"the {job.kind} took more than {format_duration(processor_time)}")
        return self._decoder.decode(line)

    async def kill(self) -> None:
        """End it at once. What it was writing stays unseen beside the files."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def _line(self) -> bytes:
        assert self._process.stdout
        return await self._process.stdout.readline()

    async def _crash(self, when: str, too_long: str = "it took too much") -> BadMedia | RenderCrashed:
        """What to raise for a process that ended without a reply."""
        code = await self._process.wait()
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if -code == signal.SIGPROF:
            return BadMedia(f"{too_long} of processor time")
        if -code in CONTENTS_FAULT:
            return BadMedia(f"the decoder crashed on it ({name})")
        return RenderCrashed(f"a render process ended {when} ({name})")


def limits_of(media: Media) -> Limits:
    """What the settings say, for a process of this one."""
    return Limits(
        parent=os.getpid(),
        max_memory_mb=media.max_memory_mb,
        image=Bounds(media.max_bytes, media.timeout.total_seconds()),
        video=Bounds(media.video_max_bytes, media.video_timeout.total_seconds()),
        max_pixels=media.max_pixels,
        max_frames=media.max_frames,
        max_moving_pixels=media.max_moving_pixels,
        avif=media.avif,
        video_max_seconds=media.video_max_length.total_seconds(),
        video_max_pixels=media.video_max_pixels,
        video_max_frames=media.video_max_frames,
    )


def without_settings() -> dict[str, str]:
    """Our environment without passwords: what decodes strangers' files should know none."""
    return {name: value for name, value in os.environ.items() if not name.startswith(SECRETIVE)}
