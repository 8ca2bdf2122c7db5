"""The jars of Kafka, pinned by coordinates and SHA-256 in kafka.lock."""

from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).with_name("kafka.lock")


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
    """The locked jars that are not in ``folder``; one that is there was checked when it was put there."""
    return [jar for jar in locked_jars() if not (folder / jar.file_name).exists()]
