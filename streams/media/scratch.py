"""Folders for files under way, outside of the storage; none outlives its process for long, however that ends."""

import asyncio
import fcntl
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

PREFIX = "tailrace-media-"
LOCK = ".lock"
UNLOCKED_SECONDS = 60
"""A folder without a lock may be one that is being made; older than this, it is not."""


class Scratch:
    """Makes folders below ``where``, or below the system's folder for temporary files where that is None."""

    def __init__(self, where: Path | None = None) -> None:
        self._where = where or Path(tempfile.gettempdir())
        self._own: Path | None = None
        self._lock: BinaryIO | None = None
        self._making = threading.Lock()

    @asynccontextmanager
    async def folder(self) -> AsyncIterator[Path]:
        """An empty folder, which is gone afterwards. Raises ``OSError``."""
        made = await asyncio.to_thread(self._make)
        try:
            yield made
        finally:
            await asyncio.to_thread(shutil.rmtree, made, ignore_errors=True)

    def close(self) -> None:
        """Remove what is left."""
        if self._own and self._lock:
            shutil.rmtree(self._own, ignore_errors=True)
            self._lock.close()
        self._own = self._lock = None

    def _make(self) -> Path:
        with self._making:
            if self._own is None:
                self._sweep()
                self._own = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self._where))
                self._lock = (self._own / LOCK).open("wb")
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            return Path(tempfile.mkdtemp(dir=self._own))

    def _sweep(self) -> None:
        """The kernel frees a lock when its process dies: what is not locked is nobody's."""
        for left in self._where.glob(f"{PREFIX}*"):
            if _is_nobodys(left):
                shutil.rmtree(left, ignore_errors=True)


def _is_nobodys(folder: Path) -> bool:
    try:
        with (folder / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:
        return folder.exists() and time.time() - folder.stat().st_mtime > UNLOCKED_SECONDS
    except OSError:  # locked, or another user's
        return False
