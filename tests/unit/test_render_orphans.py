"""No process that renders outlives the worker that started it."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from tests.pictures import encoded, photo
from tests.render_processes import processes
from tests.waiting import eventually

PARENT = """
import asyncio, os, sys
from streams.media.renderer import Renderer
from streams.media.storage import storage_of
from streams.settings import Settings

async def main():
    media = Settings.load({"TAILRACE_MEDIA__ROOT": sys.argv[1]}).media
    renderer = Renderer(media, storage_of(media))
    await renderer.render("1", "photo.jpg")
    print(os.getpid(), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.faults
async def test_kill_9_of_the_worker_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(encoded(photo()))
    command = (sys.executable, "-c", PARENT, str(tmp_path))
    worker = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=Path.cwd())
    assert worker.stdout
    async with asyncio.timeout(30):
        await worker.stdout.readline()
    (process,) = processes(worker.pid)
    # Stopped, it cannot see that its input has ended: what ends it is the kernel.
    process.suspend()

    os.kill(worker.pid, signal.SIGKILL)
    await worker.wait()

    await eventually(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, within=10)
