"""``tailrace up`` as a person runs it: the whole job, one holder, and nothing left behind."""

import asyncio
import os
import re
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

import asyncpg
import psutil
import pytest

from streams.devstack.processes import Child, Program, clean_environment, free_port
from streams.devstack.sample.history import USERS
from streams.devstack.state import LOCK, read_state
from streams.settings import FIELDS
from tests.survivors import alive
from tests.waiting import eventually

TAILRACE = (sys.executable, "-m", "streams.cli")
READY = re.compile(r"open (http://127\.0\.0\.1:\d+/)")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all: the second start on it is a warm one."""
    return tmp_path_factory.mktemp("up")


async def _up(data: Path, log: Path, *options: str, **settings: str) -> Child:
    argv = (*TAILRACE, "up", "--data", str(data), *options)
    # SIGTERM, so that a test run that is killed takes the whole tree along in good order.
    environment = clean_environment(*FIELDS) | settings
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


async def test_it_forgets_earlier_runs_and_takes_no_address_from_its_caller(data: Path, tmp_path: Path) -> None:
    log, port = tmp_path / "up.log", free_port()
    for folder in ("mail", "workers"):
        (data / folder).mkdir(exist_ok=True)
        (data / folder / "of-an-earlier-run").touch()
    options = ("--reset", "--no-traffic", "--no-worker", "--port", str(port))
    production = "postgresql://somebody@production.invalid/backend"

    running = await _up(data, log, *options, TAILRACE_DATABASE__DIRECT_URL=production, TAILRACE_LOG__LEVEL="debug")
    address = await _ready(log)
    environment = read_state(data)
    connection = await asyncpg.connect(environment["TAILRACE_DATABASE__DIRECT_URL"])
    users = await connection.fetchval("SELECT count(*) FROM users")
    await connection.close()
    workers = _workers(psutil.Process(running.pid))
    await running.stop(timedelta(seconds=10))

    assert address == f"http://127.0.0.1:{port}/"
    assert users == USERS
    assert list(data.rglob("of-an-earlier-run")) == []
    assert workers == []
    assert production not in environment.values()
    assert re.search(r"set aside of your settings: TAILRACE_DATABASE__DIRECT_URL\n", log.read_text())


async def test_it_leaves_folders_alone_that_are_not_its_own(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "media").mkdir(parents=True)
    (project / "media" / "dear").touch()

    asked = [("--data", str(project), "--reset"), ("--data", str(project)), ("--data", "/proc/nowhere")]
    reset, used, impossible = await asyncio.gather(*(_answer("up", *options) for options in asked))

    assert (reset[0], used[0], impossible[0]) == (1, 1, 1)
    assert f"has no {LOCK}" in reset[1] and "--data" in reset[1]
    assert f"has no {LOCK}" in used[1]
    assert "cannot hold the stack's data" in impossible[1]
    assert "Traceback" not in reset[1] + used[1] + impossible[1]
    assert [path.name for path in project.rglob("*")] == ["media", "dear"]


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
    running = await _up(data, log, "--no-traffic", TMPDIR=str(tmp_path))
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
    assert list(tmp_path.glob("tailrace-*")) == []
