"""Fetches the jars that are missing in a folder: ``python -m streams.devstack.fetch_jars FOLDER``.

A process of its own can be stopped half-way, a thread cannot.
"""

import hashlib
import logging
import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
import truststore
from jgo.maven import MavenContext

from streams.devstack.errors import DevStackError
from streams.devstack.jars import Jar, missing_jars

ATTEMPTS = 3
MIRROR = "MAVEN_REPOSITORY_URL"


def fetch_missing(folder: Path) -> None:
    """Fetch and check what is missing. Raises ``DevStackError`` that says which jar and why."""
    # The system's certificates: a company's proxy is known there and not to certifi.
    truststore.inject_into_ssl()
    logging.getLogger("jgo").setLevel(logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder, prefix="fetching-"))
    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda jar: _fetch(jar, scratch, folder), missing_jars(folder)))
    finally:
        shutil.rmtree(scratch)


def _fetch(jar: Jar, scratch: Path, folder: Path) -> None:
    """Put one jar into ``folder``, whole or not at all."""
    fetched = _download(jar, scratch)
    found = hashlib.sha256(fetched.read_bytes()).hexdigest()
    if found != jar.sha256:
        raise DevStackError(f"{jar.file_name} has SHA-256 {found}, but kafka.lock says {jar.sha256}: do not use it")
    fetched.replace(folder / jar.file_name)


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
    try:
        fetch_missing(Path(sys.argv[1]))
    except DevStackError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
