"""What attaching costs a backend: `python -m benchmarks.attach [--rows 20000] [--writers 32] [--seconds 8]`.

In turn without and with the triggers, in several rounds: rows inserted one by one in one transaction, and all by one
statement, in microseconds a row, with updates of a counter beside; then so many writers that each commit one post at a
time, for some seconds. The relay is said to be busy, as under load, and nobody reads the outbox.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import asyncpg

from benchmarks.command import run_benchmark
from schemas.backend import backend_tables
from streams.attach.attaching import attach, detach, look, what_to_remove
from streams.db import engine_for
from streams.devstack.stack import ANY_PORTS, Stack
from streams.migrations.run import migrate
from streams.setting_groups import Backend, Database

ROUNDS = 3
POST = """
    INSERT INTO posts (content, image, visibility, is_pinned, likes_count, comments_count, shares_count, views_count,
                       created_at, updated_at, author_id)
"""
VALUES = "VALUES ('look at this', 'posts/a.jpg', 'public', false, 0, 0, 0, 0, now(), now(), 1)"
BULK = (
    POST
    + "SELECT 'look at this', 'posts/a.jpg', 'public', false, 0, 0, 0, 0, now(), now(), 1 FROM generate_series(1, {})"
)
ONE_BY_ONE = f"DO $$ BEGIN FOR number IN 1..{{}} LOOP {POST}{VALUES}; END LOOP; END $$"
UPDATES = (
    "DO $$ BEGIN FOR number IN 1..{} LOOP UPDATE posts SET likes_count = number WHERE id = number; END LOOP; END $$"
)
EMPTY = "TRUNCATE posts RESTART IDENTITY CASCADE; TRUNCATE tailrace.outbox"
USER = """
    INSERT INTO users (id, password, username, first_name, last_name, is_superuser, is_staff, is_active, is_verified,
                       date_joined, created_at, updated_at, email, bio, location, website, followers_count,
                       following_count, posts_count)
    VALUES (1, '', 'ada', '', '', false, false, true, false, now(), now(), now(), 'a@example.org', '', '', '', 0, 0, 0)
"""

Found = dict[str, float]


async def per_row(connection: asyncpg.Connection, rows: int) -> Found:
    """Microseconds a row."""
    found = {}
    for name, statement in (("bulk", BULK), ("one_by_one", ONE_BY_ONE), ("update", UPDATES)):
        if name != "update":
            await connection.execute(EMPTY)
        began = time.perf_counter()
        await connection.execute(statement.format(rows))
        found[name] = (time.perf_counter() - began) / rows * 1e6
    return found


async def commits(url: str, writers: int, seconds: float) -> float:
    """Commits a second of all writers together."""
    connections = [await asyncpg.connect(url) for _ in range(writers)]
    end = time.perf_counter() + seconds

    async def write(connection: asyncpg.Connection) -> int:
        count = 0
        while time.perf_counter() < end:
            await connection.execute(POST + VALUES)
            count += 1
        return count

    began = time.perf_counter()
    counts = await asyncio.gather(*map(write, connections))
    took = time.perf_counter() - began
    await asyncio.gather(*(connection.close() for connection in connections))
    return sum(counts) / took


async def measure(rows: int, writers: int, seconds: float) -> dict[str, object]:
    """On a server of its own, which syncs to disk as a backend's does."""
    without: list[Found] = []
    attached: list[Found] = []
    with tempfile.TemporaryDirectory() as folder:
        async with Stack(Path(folder), ports=ANY_PORTS) as stack:
            url = stack.database_url
            await migrate(url)
            engine = engine_for(Database(url=url))
            async with engine.begin() as tables:
                await tables.run_sync(backend_tables().metadata.create_all)
            await engine.dispose()
            connection = await asyncpg.connect(url)
            await connection.execute(USER)
            for _ in range(ROUNDS):
                await detach(connection, await what_to_remove(connection, schema=False), lambda _: None)
                without.append(
                    await per_row(connection, rows) | {"commits_per_s": await commits(url, writers, seconds)}
                )
                await attach(connection, url, await look(connection, Backend(), None, ()), lambda _: None)
                attached.append(
                    await per_row(connection, rows) | {"commits_per_s": await commits(url, writers, seconds)}
                )
            await connection.close()
    return _report(without, attached)


def _report(without: list[Found], attached: list[Found]) -> dict[str, object]:
    medians = [
        {name: statistics.median(one[name] for one in found) for name in found[0]} for found in (without, attached)
    ]
    added = {name: round((medians[1][name] - medians[0][name]) / 1000, 4) for name in ("bulk", "one_by_one", "update")}
    return {
        "without": {name: round(value, 1) for name, value in medians[0].items()},
        "attached": {name: round(value, 1) for name, value in medians[1].items()},
        "added_ms_a_row": added,
        "commit_rate_kept": round(medians[1]["commits_per_s"] / medians[0]["commits_per_s"], 3),
    }


if __name__ == "__main__":
    run_benchmark(__doc__, measure, rows=20_000, writers=32, seconds=8.0)
