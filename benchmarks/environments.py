"""Peers get environments of their own, by hash from a lock file beside these programs."""

import hashlib
import shutil
import sys
from pathlib import Path

from run import call, find_uv
from streams.devstack.stack import default_cache


def environment(name: str, locked: Path) -> Path:
    """The folder of the environment, made the first time. Raises ``SetupError`` where it cannot be made."""
    stamp = hashlib.sha256(locked.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = default_cache() / "benchmarks" / f"{name}-{stamp}"
    if not (folder / "installed").exists():
        shutil.rmtree(folder, ignore_errors=True)
        uv, python = find_uv(), str(folder / "bin" / "python")
        call([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
        call([uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(locked)])
        (folder / "installed").touch()
    return folder
