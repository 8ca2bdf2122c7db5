"""The jars of Kafka, pinned by coordinates and SHA-256 in kafka.lock."""

import json
from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).with_name("kafka.lock")
STAMP = "checked.json"

Mark = list[str | int]
"""SHA-256, bytes and time of change of a jar when it was checked."""


@dataclass(frozen=True)
class Jar:
    """One line of kafka.lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def locked_jars() -> tuple[Jar, ...]:
    """What kafka.lock names, in its order."""
    return tuple(_parsed(line) for line in LOCK.read_text().splitlines())


def _parsed(line: str) -> Jar:
    coordinates, sha256 = line.split()
    group, artifact, version = coordinates.split(":")
    return Jar(group, artifact, version, sha256)


def missing_jars(folder: Path) -> list[Jar]:
    """The locked jars that are not in ``folder``, or not as they were when their hash was checked."""
    checked = checked_marks(folder)
    return [jar for jar in locked_jars() if checked.get(jar.file_name, []) != mark_of(jar, folder)]


def checked_marks(folder: Path) -> dict[str, Mark]:
    """By file name, the marks of the jars that were checked."""
    try:
        found: dict[str, Mark] = json.loads((folder / STAMP).read_text())
    except (FileNotFoundError, ValueError):
        # A stamp that a crash cut off costs only that all jars are checked again.
        return {}
    return found


def mark_of(jar: Jar, folder: Path) -> Mark | None:
    """The mark of the jar as it is now, taken to be of its hash; None if it is not there."""
    try:
        status = (folder / jar.file_name).stat()
    except FileNotFoundError:
        return None
    return [jar.sha256, status.st_size, status.st_mtime_ns]
