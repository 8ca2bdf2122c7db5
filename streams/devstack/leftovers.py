"""Folders for work in progress, and the removal of what killed processes left of theirs."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from streams.devstack.errors import DevStackError

TRAINING, FETCHING = "training-", "fetching-"


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder below ``parent``, gone at the end; while we live nobody takes it for a leftover."""
    with _locked(parent):
        # One step for others: they would remove a folder that is there and not locked yet.
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        os.close(lock)


def remove_leftovers(parent: Path, prefix: str) -> None:
    """Remove the scratch folders below ``parent`` whose process is gone."""
    if not any(parent.glob(f"{prefix}*")):
        return
    with _locked(parent):
        for folder in parent.glob(f"{prefix}*"):
            # Still held, or removed by its owner at this moment.
            with suppress(BlockingIOError, FileNotFoundError), _locked(folder, fcntl.LOCK_NB):
                shutil.rmtree(folder)


@contextmanager
def _locked(folder: Path, flags: int = 0) -> Iterator[None]:
    """Hold the lock of a folder; the kernel lets it go when we die."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | flags)
        yield
    finally:
        os.close(lock)


def settle(file: Path) -> None:
    """Return when the content is on the disk: renamed before that, a crash of the machine could leave it cut off."""
    with file.open("rb") as content:
        os.fsync(content.fileno())


def remove_parts(folder: Path) -> None:
    """Remove the files below ``folder`` that somebody was still writing when he was killed."""
    for part in folder.rglob("*.part"):
        part.unlink(missing_ok=True)


def remove_tree(folder: Path) -> None:
    """Remove a folder if it is there. Raises ``DevStackError`` if something of it stays."""
    if not folder.exists() and not folder.is_symlink():
        return
    try:
        shutil.rmtree(folder)
    except OSError as error:
        advice = "Remove that folder by hand and start again."
        raise DevStackError(f"{folder} could not be removed whole ({error}). {advice}") from error
