"""Files in a folder that are there whole or not at all, also after a kill or a loss of power."""

import asyncio
import glob
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

from streams.media.errors import MissingMedia, StorageFailed
from streams.media.paths import checked_file, checked_key, read_key, resolve_key
from streams.media.stored import Content, Stored

T = TypeVar("T")

STALE_SECONDS = 10.0
"""A part that has not grown for so long is what a kill has left; writing never pauses so long."""

LISTED_AT_ONCE = 1000


class LocalFolder:
    """A ``Storage`` on this machine, or on a disk that all machines share."""

    def __init__(self, root: Path) -> None:
        self.root = root

    async def get(self, key: str, max_bytes: int) -> bytes:
        """As ``Storage.get``."""
        return await _in_thread(lambda: read_key(self.root, key, max_bytes))

    async def fetch(self, key: str, folder: Path, max_bytes: int) -> Path:
        """As ``Storage.fetch``."""
        return await _in_thread(lambda: checked_file(self.root, key, max_bytes))

    async def put(self, files: Mapping[str, Content]) -> None:
        """As ``Storage.put``."""
        for key in files:
            checked_key(key)
        await _in_thread(lambda: write_all(self.root, files))

    async def delete(self, keys: Iterable[str]) -> None:
        """As ``Storage.delete``."""
        await _in_thread(lambda: self._delete(keys))

    async def exists(self, key: str) -> bool:
        """As ``Storage.exists``."""
        try:
            return await _in_thread(lambda: resolve_key(self.root, key).is_file())
        except MissingMedia:
            return False

    async def list(self, prefix: str) -> AsyncIterator[Stored]:
        """As ``Storage.list``."""
        found = self._list(checked_key(prefix))
        while part := await _in_thread(lambda: list(islice(found, LISTED_AT_ONCE))):
            for stored in part:
                yield stored

    def _delete(self, keys: Iterable[str]) -> None:
        """Also where one is a link: then the link goes, and not what it leads to."""
        for key in keys:
            path = self.root / checked_key(key)
            with suppress(MissingMedia):
                resolve_key(self.root, str(Path(key).parent))
                path.unlink(missing_ok=True)
                if path.parent != self.root:
                    with suppress(OSError):  # others are in it
                        path.parent.rmdir()

    def _list(self, prefix: str) -> Iterator[Stored]:
        for folder, folders, names in os.walk(self.root / prefix):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                path = Path(folder, name)
                if name.startswith(".") or path.is_symlink():
                    continue
                with suppress(FileNotFoundError):  # deleted just now
                    status = path.stat()
                    modified = datetime.fromtimestamp(status.st_mtime, UTC)
                    yield Stored(str(path.relative_to(self.root)), status.st_size, modified)


async def _in_thread(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise StorageFailed(f"the media folder cannot be used: {error.strerror or error!r}{where}") from error


def write_all(root: Path, files: Mapping[str, Content]) -> None:
    """Write each content at its key. A reader sees the old file or the new one, never a part of either."""
    folders: set[Path] = set()
    for key, content in files.items():
        path = root / key
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            folders |= {path.parent.parent, root}
        folders.add(path.parent)
        _write(path, content)
    for folder in sorted(folders):
        _sync_folder(folder)


def _write(path: Path, content: Content) -> None:
    _remove_stale_parts(path)
    # The dot keeps it from being served. Random, because processes in two containers may have one id.
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        with aside.open("wb") as file:
            if isinstance(content, Path):
                with content.open("rb") as source:
                    shutil.copyfileobj(source, file, 1024 * 1024)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _remove_stale_parts(path: Path) -> None:
    """A writer that only seemed to be dead cannot rename its part then, and is tried again."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        try:
            if time.time() - part.stat().st_mtime > STALE_SECONDS:
                part.unlink()
        except FileNotFoundError:
            continue  # its writer has just renamed it


def _sync_folder(folder: Path) -> None:
    """Make the renames in it survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
