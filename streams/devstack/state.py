"""Which folders hold our data, who holds one now, and how to reach the stack that runs in it."""

import fcntl
import json
import os
import struct
import sys
from pathlib import Path
from typing import IO

from streams.devstack.errors import DevStackError

LOCK = "tailrace.lock"
"""Held by whoever runs the stack. It stays when nobody does, and says that the folder is ours to write and reset."""

STATE = "stack.json"
FLOCK = "hhqqi0q"
"""struct flock of fcntl(2): type, whence, start, length, pid."""


class FolderLock:
    """Held for as long as a stack runs; the kernel lets it go when the process dies, however it dies."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Make the folder ours if it is new or empty, and hold it.

        Raises ``DevStackError`` that says who holds it, that it is somebody else's folder, or why it cannot be used.
        """
        try:
            file = self._open()
        except OSError as error:
            advice = "Give a folder that you may write with --data."
            reason = "it is a file" if isinstance(error, FileExistsError) else error
            raise DevStackError(f"{self._data} cannot hold the stack's data ({reason}). {advice}") from error
        try:
            # Of the open file, as flock has it, but one can ask who holds it without taking it.
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            advice = "Stop it, or give another folder with --data."
            raise DevStackError(f"{self._data} is in use by {holder}. {advice}") from error
        self._file = file
        self.say_address("")

    def _open(self) -> IO[str]:
        self._data.mkdir(parents=True, exist_ok=True)
        # One listing: what another `up` that starts here makes after its lock must not look like somebody's files.
        there = [path.name for path in self._data.iterdir()]
        if there and LOCK not in there:
            found = f"{len(there)} other files and folders" if len(there) > 1 else there[0]
            raise DevStackError(
                f"{self._data} is not a data folder of `tailrace up`: it has no {LOCK}, and has {found}. Nothing in it"
                " was touched. Give a new or empty folder with --data."
            )
        return (self._data / LOCK).open("a+")

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
    """The running stack's environment. Raises ``DevStackError`` when none runs in this folder, or not ours."""
    try:
        if not _runs(data):
            advice = "Start one with `tailrace up`, or name its folder with --data."
            raise DevStackError(f"no stack runs in {data}. {advice}")
        environment: dict[str, str] = json.loads((data / STATE).read_text())
    except FileNotFoundError as error:
        raise DevStackError(f"the stack in {data} is still starting; try again in a moment.") from error
    except OSError as error:
        raise DevStackError(f"{data} cannot be read ({error}); ask as the user who started the stack.") from error
    return environment


def _runs(data: Path) -> bool:
    """Whether somebody holds the folder. It only asks, so that an `up` that starts at this moment is not refused."""
    try:
        file = (data / LOCK).open()
    except (FileNotFoundError, NotADirectoryError):
        return False
    with file:
        asked = struct.pack(FLOCK, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        kind, *_ = struct.unpack(FLOCK, fcntl.fcntl(file, fcntl.F_OFD_GETLK, asked))
    return bool(kind != fcntl.F_UNLCK)
