"""Folders for the servers of the tests, which make and remove files by the hundred for each test."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

MEMORY = Path("/dev/shm")
ROOM = 8 << 30
"""What must be free: a run takes up to 2 GB for each of its processes."""

PREFIX = "tailrace-tests-"


@contextmanager
def folder_for_servers(otherwise: Path) -> Iterator[Path]:
    """A folder in memory, gone at the end, where the machine has the room; else this one. Nothing that the tests ask
    for outlives the machine: the servers do not even flush what they write.
    """
    if not _has_room():
        yield otherwise
        return
    _remove_leftovers()
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", dir=MEMORY, ignore_cleanup_errors=True) as made:
        yield Path(made)


def _has_room() -> bool:
    """Whether both that file system and the machine's memory have it."""
    if not os.access(MEMORY, os.W_OK):
        return False
    return min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available) > ROOM


def _remove_leftovers() -> None:
    """What runs of this user that were killed have left would hold memory for ever."""
    for folder in MEMORY.glob(f"{PREFIX}*"):
        owner = int(folder.name.removeprefix(PREFIX).partition("-")[0])
        if not psutil.pid_exists(owner) and folder.stat().st_uid == os.geteuid():
            shutil.rmtree(folder, ignore_errors=True)
