"""Where the tasks of both sides note how long a command waited for its start. Knows the standard library only:
Celery's environment has nothing of ours.
"""

import os
import time
from functools import cache
from pathlib import Path
from typing import TextIO

FOLDER = "DISPATCH_NOTES"
"""The environment variable that names the folder of the notes."""


@cache
def _file() -> TextIO:
    """One file a process."""
    return (Path(os.environ[FOLDER]) / f"{os.getpid()}.waits").open("a", buffering=1)


def note_wait(published: float) -> None:
    """The command starts now; it was published at ``published`` (seconds since the epoch)."""
    _file().write(f"{time.time() - published}\n")


def waits(folder: Path) -> list[float]:
    """All that was noted, sorted, in seconds."""
    return sorted(float(line) for file in folder.glob("*.waits") for line in file.read_text().splitlines())
