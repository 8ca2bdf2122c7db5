"""What this installation can read and write, found out once at start in a process that may die of it."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from datetime import timedelta
from pathlib import Path

import msgspec
import structlog

from streams.media.jobs import Formats
from streams.media.render_worker import without_settings
from streams.metrics import Metrics

PATIENCE = timedelta(seconds=60)

log = structlog.get_logger(__name__)


async def probe_formats() -> Formats:
    """What works; where not even the trial does, why."""
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            code, answer, said = await _trial()
        if code == 0:
            return msgspec.json.decode(answer, type=Formats)
        reason = f"the trial ended with {code}: {said.decode(errors='replace').strip().rpartition(chr(10))[2][:200]}"
    except TimeoutError:
        reason = f"the trial did not end within {PATIENCE.total_seconds():.0f} s"
    except (OSError, msgspec.DecodeError) as error:
        reason = f"the trial failed: {error!r}"
    return Formats([], [], {"everything": reason})


async def _trial() -> tuple[int | None, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.media.probing"),
        stdout=PIPE,
        stderr=PIPE,
        cwd=Path(__file__).parents[2],
        env=without_settings(),
    )
    try:
        answer, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, answer, said


async def tell_formats(metrics: Metrics) -> None:
    """Log and measure what works; then there is nothing more to do, for ever."""
    formats = await probe_formats()
    for way, names in (("read", formats.reads), ("write", formats.writes)):
        for name in names:
            metrics.media_format.labels(name, way).set(1)
    for problem in formats.problems:
        way, _, name = problem.partition(" ")
        metrics.media_format.labels(name or way, way).set(0)
    tell = log.warning if formats.problems else log.info
    tell("media formats", reads=formats.reads, writes=formats.writes, problems=formats.problems)
    await asyncio.Event().wait()
