"""Files that are there whole or not at all, also after a kill or a loss of power."""

import glob
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

STALE_SECONDS = 10.0
"""A part that has not grown for so long is what a kill has left; writing one takes milliseconds."""


def write_all(root: Path, files: Mapping[str, bytes]) -> None:
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


def _write(path: Path, content: bytes) -> None:
    _remove_stale_parts(path)
    # The dot keeps it from being served. Random, because processes in two containers may have one id.
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        with aside.open("wb") as file:
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
