"""Files that are there whole or not at all, also after a kill or a loss of power."""

import os
from collections.abc import Mapping
from pathlib import Path


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
    # The dot keeps it from being served; the process id keeps two that write the same file apart.
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Make the renames in it survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
