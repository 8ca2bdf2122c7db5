#!/usr/bin/env python3
"""Everything from a fresh clone, with nothing but Python and pip.

    python3 run.py up                Kafka, PostgreSQL, mail, worker, server and a sample backend
    python3 run.py up --for 30s      the same for half a minute, and a summary
    python3 run.py test [ARGUMENT..] format, lint and types, then pytest with these arguments
    python3 run.py test -m core      the same with the core of the tests alone
    python3 run.py COMMAND ...       any other command of tailrace; `python3 run.py --help` lists them

The first time it makes .venv beside this file and installs what requirements.lock names.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

# Before anything that an older Python would stumble over without a word of why.
if sys.version_info < (3, 11):  # noqa: UP036 - here nothing has checked it yet
    sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0])

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
LOCKED = ROOT / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"
STAMP = VENV / "installed-for"
UV = "uv==0.13.9"
AT_ONCE = ["--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder"]
"""Most tests wait for servers, so two at once, each with servers of its own, in the order of tests/order.py."""
CORE = ["-m", "core"]

GATE = {
    "ruff format": ["ruff", "format", "--check", "."],
    "ruff check": ["ruff", "check", "."],
    "mypy": ["mypy"],
}


class SetupError(Exception):
    """The environment cannot be made; the message says what to do."""


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__)
        return 0
    try:
        ensure_environment()
    except SetupError as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 1
    if arguments[0] == "test":
        return run_gate(arguments[1:])
    return become([str(VENV / "bin" / "tailrace"), *arguments], dict(os.environ))


def ensure_environment() -> None:
    """Make .venv hold exactly what is locked. At once when it does already."""
    if is_installed():
        return
    with only_one():
        # Another run.py may have installed it while we waited.
        if not is_installed():
            install()


def wanted_stamp() -> str:
    """Changes with what is to be installed, with this Python, and when the checkout moves."""
    parts = (LOCKED.read_bytes(), PROJECT.read_bytes(), sys.version.encode(), os.fsencode(ROOT))
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def is_installed() -> bool:
    return STAMP.exists() and STAMP.read_text() == wanted_stamp()


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """One installation at a time in this checkout."""
    try:
        TOOLS.mkdir(exist_ok=True)
        lock = (TOOLS / "lock").open("w")
    except OSError as error:
        advice = "clone it to a folder of your own, or change its owner"
        raise SetupError(f"{ROOT} cannot be written by user {os.geteuid()} ({error}): {advice}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another run.py is installing here; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install() -> None:
    """Everything by hash from requirements.lock, then this checkout itself, editable."""
    started = time.monotonic()
    uv = find_uv()
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    python = ["--python", str(VENV / "bin" / "python")]
    say("making .venv")
    if VENV.exists():
        shutil.rmtree(VENV)
    call([uv, "venv", "--quiet", "--python", sys.executable, str(VENV)])
    packages = sum(1 for line in LOCKED.read_text().splitlines() if line[:1].isalnum())
    say(f"installing {packages} packages from requirements.lock")
    call([uv, "pip", "install", *quiet, *python, "--require-hashes", "-r", str(LOCKED)])
    say("installing tailrace")
    call([uv, "pip", "install", *quiet, *python, "--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    STAMP.write_text(wanted_stamp())
    say(f"installed in {time.monotonic() - started:.0f} s")


def find_uv() -> str:
    """The uv of the PATH, else our own under .tools, which pip brings."""
    found = shutil.which("uv")
    own = TOOLS / "bin" / "uv"
    if found or own.exists():
        return found or str(own)
    say(f"installing {UV} into .tools")
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode != 0:
        raise SetupError(
            f"{sys.executable} has no pip. Install it (Debian: apt install python3-pip), or put uv on the PATH"
        )
    quiet = ["--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]
    call([sys.executable, "-m", "pip", "install", *quiet, "--target", str(TOOLS), UV])
    return str(own)


def call(command: list[str]) -> None:
    """Run one step of the installation; its output is the user's to see."""
    # The system's certificates, under the new and the old name: a company's proxy is known there only.
    certificates = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
    environment = {**certificates, "UV_PYTHON_DOWNLOADS": "never", **os.environ}
    if subprocess.run(command, cwd=ROOT, env=environment).returncode != 0:
        raise SetupError(f"this step failed, its own message is above: {' '.join(command)}")


def run_gate(arguments: list[str]) -> int:
    """Format, lint, types, tests. All of them always, so that one run tells everything; pytest has the last word."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAILRACE_")}
    failures = [name for name, command in GATE.items() if not passes(name, command, environment)]
    tests = [*in_venv("pytest"), *(AT_ONCE if arguments in ([], CORE) else []), *arguments]
    os.chdir(ROOT)
    if not failures:
        return become(tests, environment)
    running = subprocess.Popen(tests, env={**environment, "GATE_FAILURES": ", ".join(failures)})
    while True:
        # A Ctrl-C is pytest's to handle: we wait for its summary.
        with contextlib.suppress(KeyboardInterrupt):
            return running.wait() or 1


def passes(name: str, command: list[str], environment: dict[str, str]) -> bool:
    say(name)
    module, *rest = command
    code = subprocess.run([*in_venv(module), *rest], cwd=ROOT, env=environment).returncode
    if code != 0:
        say(f"{name} FAILED (exit code {code})")
    return code == 0


def in_venv(module: str) -> list[str]:
    return [str(VENV / "bin" / "python"), "-m", module]


def become(command: list[str], environment: dict[str, str]) -> NoReturn:
    """Turn this process into the command, so that signals reach it."""
    sys.stdout.flush()
    os.execve(command[0], command, environment)


def say(message: str) -> None:
    print(f"run.py: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
