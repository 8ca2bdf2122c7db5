"""A worker that is killed while a video is being coded: another one makes it, and nothing is left behind."""

import os
import signal
from functools import partial
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from agents import TASKS
from agents.process_media_upload import process_media_upload
from schemas.tables import media_assets, media_renditions
from streams.enqueueing import Wish, enqueue
from streams.settings import Settings
from streams.topics import create_topics
from tests.backend import BACKEND, sign_up
from tests.events import runs
from tests.processes import running
from tests.render_processes import processes
from tests.videos import video
from tests.waiting import eventually
from tests.workers import running_worker

SOURCE = "posts/v.mp4"


async def post_with_a_video(engine: AsyncEngine, root: Path) -> None:
    """Some seconds of work for the coder."""
    (root / "posts").mkdir()
    video(root / SOURCE, codec="mpeg4", size=(640, 480), frames=500, fps=25)
    user = await sign_up(engine, 1)
    async with engine.begin() as connection:
        await connection.execute(BACKEND.posts.insert().values(id=7, author_id=user, video=SOURCE))
        await connection.execute(text("DELETE FROM tailrace.outbox"))


def at_work(worker: int, scratch: Path) -> psutil.Process | None:
    """The process that renders, once a part of the video is written."""
    written = any(path.stat().st_size for path in scratch.rglob("*.mp4") if path.exists())
    return next(iter(processes(worker)), None) if written else None


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


async def keys_and_status(engine: AsyncEngine) -> tuple[set[str], str]:
    async with engine.connect() as connection:
        keys = {row.key for row in await connection.execute(media_renditions.select())}
        (asset,) = await connection.execute(media_assets.select())
    return keys, asset.status


async def is_done(engine: AsyncEngine) -> bool:
    return [run.state for run in await runs(engine)] == ["done"]


@pytest.mark.faults
async def test_kill_9_half_way_through_a_video(
    environment: dict[str, str], engine: AsyncEngine, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment |= {"TAILRACE_MEDIA__SCRATCH": str(scratch), "TAILRACE_WORKER__LEASE": "2s"}
    settings = Settings.load(environment)
    await create_topics(settings)
    await post_with_a_video(engine, settings.media.root)
    args = {"post_id": 7, "video": SOURCE}
    await enqueue(engine, Wish(process_media_upload, args, process_media_upload.queue))

    async with running("worker", environment, tmp_path, wait=False) as worker:
        process = await eventually(lambda: at_work(worker.child.pid, scratch), within=90)
        assert process
        process.suspend()  # it is half-way through however fast the machine is
        left = list(scratch.rglob("*.mp4"))
        os.kill(worker.child.pid, signal.SIGKILL)
        await eventually(lambda: worker.child.exit_code is not None)
    await eventually(partial(is_gone, process))
    async with running_worker(settings, TASKS):
        await eventually(lambda: is_done(engine), within=90)

    (run,) = await runs(engine)
    keys, status = await keys_and_status(engine)
    stored = {str(path.relative_to(settings.media.root)) for path in settings.media.root.rglob("renditions/**/*.*")}
    assert left and (run.takeovers, run.attempt, status) == (1, 1, "ready")
    assert (stored, list(scratch.iterdir())) == (keys, [])
    assert processes() == []
