"""Many rows through the outbox: in order, in little memory, and the table stays small."""

import asyncio
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.health import Health
from streams.metrics import Metrics
from streams.relay import Relay
from streams.settings import Settings
from streams.topics import create_topics
from tests.attaching import attach_to
from tests.events import records_of
from tests.processes import Environment, running
from tests.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

MB = 1_000_000
ROUND = 5_000
AUTHORS = 40

# One transaction of the backend, which says each post.
TEN_THOUSAND_POSTS = f"""
    INSERT INTO users (id, username, email, password, last_name, first_name, bio, location, website, is_superuser,
                       is_staff, is_active, is_verified, date_joined, created_at, updated_at, followers_count,
                       following_count, posts_count)
    SELECT n, 'u' || n, '', '', '', '', '', '', '', false, false, true, false, now(), now(), now(), 0, 0, 0
      FROM generate_series(1, {AUTHORS}) AS n;
    INSERT INTO posts (id, content, visibility, is_pinned, likes_count, comments_count, shares_count, views_count,
                       created_at, updated_at, author_id)
    SELECT n, repeat('x', 200), 'public', false, 0, 0, 0, 0, now(), now(), 1 + n % {AUTHORS}
      FROM generate_series(1, 10000) AS n
"""

# As submissions leave them.
FILL = text("""
    INSERT INTO tailrace.outbox (topic, key, headers, payload, dedupe_key)
    SELECT 'queue.default', convert_to(n::text, 'UTF8'), '[["content-type", "application/json"]]',
           convert_to(repeat('x', 300), 'UTF8'), 'submit:' || n
      FROM generate_series(1, :rows) AS n
""")
SIZE = text("SELECT pg_total_relation_size('tailrace.outbox')")
LEFT = text("SELECT count(*) FROM tailrace.outbox")


async def answer(engine: AsyncEngine, question: object) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(question)).scalar_one())  # type: ignore[call-overload]


async def is_empty(engine: AsyncEngine) -> bool:
    return await answer(engine, LEFT) == 0


async def test_ten_thousand_rows_of_one_transaction_arrive_in_order_and_cost_no_memory(
    environment: Environment, settings: Settings, engine: AsyncEngine, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(settings.database.url)
    await attach_to(connection, settings.database.url)
    await create_topics(settings)

    async with running("worker", environment, tmp_path) as worker:
        process = psutil.Process(worker.child.pid)
        resident = [process.memory_info().rss]
        async with connection.transaction():
            await connection.execute(TEN_THOUSAND_POSTS)

        async def is_drained() -> bool:
            resident.append(process.memory_info().rss)
            return await is_empty(engine)

        await eventually(is_drained, within=120)
    await connection.close()

    posts = defaultdict(list)
    for record in await records_of(settings, "post.uploaded"):
        posts[record.key].append(dict(record.headers)["ce_id"])
    said = {key: [int(event.decode().split(":")[1]) for event in events] for key, events in posts.items()}
    assert sum(len(numbers) for numbers in said.values()) == 10_000
    assert all(numbers == sorted(numbers) for numbers in said.values())
    assert max(resident) - resident[0] < 60 * MB


async def test_the_outbox_stays_small_however_many_rows_go_through(
    settings: Settings, engine: AsyncEngine, pytestconfig: pytest.Config
) -> None:
    await create_topics(settings)
    rows, most = (1_000_000, 50 * MB) if pytestconfig.getoption("--full") else (60_000, 25 * MB)

    relay = asyncio.create_task(Relay(settings, Metrics(), Health().progress("relay")).run())
    for _ in range(rows // ROUND):
        async with engine.begin() as connection:
            await connection.execute(FILL, {"rows": ROUND})
        await eventually(lambda: is_empty(engine), within=120)
    size = await answer(engine, SIZE)
    relay.cancel()
    with suppress(asyncio.CancelledError):
        await relay

    assert size < most, f"{size / MB:.0f} MB"
