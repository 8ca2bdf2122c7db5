"""The client as its users get it: built, and installed where nothing of ours is."""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "clients" / "python"


def build(project: Path, into: Path, *targets: str) -> None:
    """Build the wheel, the source distribution or both; no file of the project is changed."""
    chosen = [word for target in targets for word in ("-t", target)]
    call([sys.executable, "-m", "hatchling", "build", "-d", str(into), *chosen], project)


@functools.cache
def unpacked_client() -> Path:
    """A folder with the package ``tailrace_client`` of the wheel, to be put on the path; once for a run."""
    folder = Path(tempfile.mkdtemp(prefix="tailrace-client-"))
    build(PROJECT, folder, "wheel")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "package")
    return folder / "package"


def call(command: list[str], folder: Path) -> str:
    """Output of a program that must not fail, and that knows nothing of this checkout."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def uv() -> str:
    """The installer that made this environment."""
    return shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
