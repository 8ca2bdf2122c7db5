"""Who holds a data folder, and how to reach the stack that runs in it."""

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import IO

from streams.devstack.errors import DevStackError

LOCK = "lock"
STATE = "stack.json"


class FolderLock:
    """Held for as long as a stack runs; the kernel lets it go when the process dies, however it dies."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Raises ``DevStackError`` that says who holds it."""
        self._data.mkdir(parents=True, exist_ok=True)
        file = (self._data / LOCK).open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            advice = "Stop it, or give another folder with --data."
            raise DevStackError(f"{self._data} is in use by {holder}. {advice}") from error
        self._file = file
        self.say_address("")

    def say_address(self, address: str) -> None:
        """Write who we are, and where our page is, for those who find the folder taken."""
        if self._file:
            command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
            self._file.truncate(0)
            self._file.write(f"process {os.getpid()} ({command})" + (f", {address}" if address else ""))
            self._file.flush()

    def release(self) -> None:
        if self._file:
            self._file.truncate(0)
            self._file.close()
            self._file = None


def write_state(data: Path, environment: dict[str, str]) -> None:
    """Keep the environment for ``tailrace env``; it holds the database's password, so only we may read it."""
    aside = data / f"{STATE}.part"
    aside.unlink(missing_ok=True)
    aside.touch(0o600)
    aside.write_text(json.dumps(environment, indent=2) + "\n")
    aside.replace(data / STATE)


def forget_state(data: Path) -> None:
    (data / STATE).unlink(missing_ok=True)


def read_state(data: Path) -> dict[str, str]:
    """The running stack's environment. Raises ``DevStackError`` when none runs in this folder."""
    if not _runs(data):
        raise DevStackError(f"no stack runs in {data}. Start one with `tailrace up`, or name its folder with --data.")
    try:
        environment: dict[str, str] = json.loads((data / STATE).read_text())
    except FileNotFoundError as error:
        raise DevStackError(f"the stack in {data} is still starting; try again in a moment.") from error
    return environment


def _runs(data: Path) -> bool:
    try:
        file = (data / LOCK).open()
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
