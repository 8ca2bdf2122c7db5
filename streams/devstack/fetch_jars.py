"""Fetches the jars that are missing in a folder: ``python -m streams.devstack.fetch_jars FOLDER``.

A process of its own can be stopped half-way, a thread cannot.
"""

import hashlib
import json
import logging
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
import truststore
from jgo.maven import MavenContext

from streams.devstack.errors import DevStackError
from streams.devstack.jars import STAMP, Jar, checked_marks, mark_of, missing_jars
from streams.devstack.leftovers import FETCHING, scratch_folder, settle

ATTEMPTS = 3
MIRROR = "MAVEN_REPOSITORY_URL"


class JarFolder:
    """Where the jars go, each whole and checked or not at all."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._folder, self._scratch = folder, scratch
        self._checked = checked_marks(folder)
        self._one_at_a_time = threading.Lock()

    def bring(self, jar: Jar) -> None:
        """Check the jar if it is there; fetch it if it is not, or not the right one."""
        place = self._folder / jar.file_name
        if not place.exists() or _sha256(place) != jar.sha256:
            fetched = _download(jar, self._scratch)
            found = _sha256(fetched)
            if found != jar.sha256:
                wrong = f"{jar.file_name} has SHA-256 {found}, but kafka.lock says {jar.sha256}"
                raise DevStackError(f"{wrong}: do not use it")
            settle(fetched)
            fetched.replace(place)
        self._remember(jar)

    def _remember(self, jar: Jar) -> None:
        with self._one_at_a_time:
            self._checked[jar.file_name] = mark_of(jar, self._folder) or []
            aside = self._scratch / STAMP
            aside.write_text(json.dumps(self._checked))
            aside.replace(self._folder / STAMP)


def fetch_missing(folder: Path) -> None:
    """Fetch and check what is missing. Raises ``DevStackError`` that says which jar and why."""
    # The system's certificates: a company's proxy is known there and not to certifi.
    truststore.inject_into_ssl()
    logging.getLogger("jgo").setLevel(logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    with scratch_folder(folder, FETCHING) as scratch, ThreadPoolExecutor(4) as threads:
        list(threads.map(JarFolder(folder, scratch).bring, missing_jars(folder)))


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _download(jar: Jar, scratch: Path) -> Path:
    mirror = os.environ.get(MIRROR)
    repositories = {"mirror": mirror} if mirror else None
    problem: Exception | None = None
    for attempt in range(ATTEMPTS):
        # A folder for each attempt: jgo refuses to write over a broken download.
        cache = scratch / f"{jar.file_name}.{attempt}"
        context = MavenContext(repo_cache=cache, remote_repos=repositories, timeout=60)
        try:
            return Path(context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve())
        except (requests.RequestException, RuntimeError, OSError) as error:
            problem = error
    advice = f"Check the network, or name a mirror of Maven Central in {MIRROR}."
    raise DevStackError(f"{jar.file_name} could not be fetched: {problem}. {advice}") from problem


def main() -> None:
    folder = Path(sys.argv[1])
    try:
        fetch_missing(folder)
    except DevStackError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(
            f"{folder} cannot hold the jars of Kafka ({error}); free some space, or name another in XDG_CACHE_HOME"
        )


if __name__ == "__main__":
    main()
