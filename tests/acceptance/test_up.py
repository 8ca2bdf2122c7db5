"""``tailrace up`` as a person runs it: the whole job, one holder, and nothing left behind."""

import asyncio
import os
import re
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from streams.devstack.processes import Child, Program, clean_environment
from streams.settings import FIELDS
from tests.survivors import alive
from tests.waiting import eventually

TAILRACE = (sys.executable, "-m", "streams.cli")
READY = re.compile(r"open (http://127\.0\.0\.1:\d+/)")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all: the second start on it is a warm one."""
    return tmp_path_factory.mktemp("up")


async def _up(data: Path, log: Path, *options: str) -> Child:
    argv = (*TAILRACE, "up", "--data", str(data), *options)
    # SIGTERM, so that a test run that is killed takes the whole tree along in good order.
    environment = clean_environment(*FIELDS)
    return await Child.start(Program("up", argv, log, environment, death_signal=signal.SIGTERM))


async def _ready(log: Path) -> str:
    """The address of the page, once it is announced."""
    found: list[str] = await eventually(lambda: READY.findall(log.read_text()), 90, f"up to be ready; see {log}")
    return found[0]


async def _answer(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *TAILRACE, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


def _workers(up: psutil.Process) -> list[psutil.Process]:
    return [child for child in alive(up.children()) if _command(child) == "worker"]


def _command(process: psutil.Process) -> str:
    try:
        return (process.cmdline() or [""])[-1]
    except psutil.Error:
        return ""


async def test_a_bounded_run_does_the_whole_job_and_says_so(data: Path, tmp_path: Path) -> None:
    log = tmp_path / "up.log"

    running = await _up(data, log, "--for", "2s")
    code = await asyncio.wait_for(running.wait(), 110)

    said = log.read_text()
    assert code == 0, said
    assert re.search(r"runs +send_welcome_email +done +[1-9]", said)
    assert re.search(r"runs +process_media_upload +done +[1-9]", said)
    assert re.search(r"mails +[1-9].*the first", said)
    assert re.search(r"renditions +[1-9].*the first", said)
    assert re.search(r"top tags +#\w+ [1-9]", said)
    assert "left undone  nothing" in said


async def test_it_tells_others_how_to_reach_it_and_stops_within_five_seconds(data: Path, tmp_path: Path) -> None:
    log = tmp_path / "up.log"
    running = await _up(data, log)
    address = await _ready(log)
    family = psutil.Process(running.pid).children(recursive=True)

    env = await _answer("env", "--data", str(data))
    second = await _answer("up", "--data", str(data))
    started = time.monotonic()
    os.kill(running.pid, signal.SIGINT)
    code = await running.wait()

    assert time.monotonic() - started < 5
    assert code == 0
    assert alive(family) == []
    assert env[0] == 0
    assert "export TAILRACE_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:" in env[1]
    assert second[0] == 1
    assert f"in use by process {running.pid}" in second[1]
    assert address in second[1]
    assert (await _answer("env", "--data", str(data)))[0] == 1


@pytest.mark.faults
async def test_it_starts_a_killed_worker_again_and_leaves_nothing_when_killed_itself(
    data: Path, tmp_path: Path
) -> None:
    log = tmp_path / "up.log"
    running = await _up(data, log, "--no-traffic")
    await _ready(log)
    up = psutil.Process(running.pid)

    first = _workers(up)
    first[0].kill()
    await eventually(lambda: set(_workers(up)) - set(first), 30, "another worker")
    family = up.children(recursive=True)
    up.kill()
    await running.wait()

    await eventually(lambda: not alive(family), 10, "every process to be gone")
    assert "worker ended by itself" in log.read_text()
