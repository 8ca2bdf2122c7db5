"""Retention, kills and second rebuilds while it is counted anew: answers say what they lack, and none is torn."""

import asyncio
import itertools
import os
import random
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.metrics import Metrics
from streams.settings import Settings
from streams.topics import create_topics
from streams.trending.answers import STALE_AFTER
from streams.trending.rebuild import open_rebuild
from streams.trending.view import View
from tests.commands_here import typed
from tests.events import delete_records, post_uploaded
from tests.trending import BLOCK, posts, publish, recounted, running_counter, top
from tests.waiting import eventually

LARGE = 100_000
"""Bytes of a post's text: so many that no fetch takes in all of the posts."""


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "TAILRACE_TRENDING__BLOCK": str(BLOCK), "TAILRACE_TRENDING__FLUSH": "50ms"}


@pytest.fixture(autouse=True)
async def topics(settings: Settings) -> None:
    await create_topics(settings)


def since() -> datetime:
    return datetime.now(UTC) - timedelta(days=8)


async def counted(engine: AsyncEngine, events: int) -> bool:
    """Whether the live counts stand for so many events."""
    query = text("""
        SELECT coalesce(sum(next_offset), 0) FROM tailrace.trending_sources JOIN tailrace.trending_state
            ON generation = live_generation""")
    async with engine.connect() as connection:
        return int((await connection.execute(query)).scalar_one()) >= events


async def is_said(engine: AsyncEngine, complete: bool) -> bool:
    """Whether an answer about the last hour is fresh, and says this of itself."""
    view = View(engine, Metrics())
    await view.refresh()
    answer = view.top("1h", 10)
    fresh = answer.as_of is not None and datetime.now(UTC) - answer.as_of < STALE_AFTER
    return fresh and answer.complete == complete


async def gaps(engine: AsyncEngine, generation: int) -> list[tuple[str, int, int]]:
    query = text("SELECT source, from_offset, to_offset FROM tailrace.trending_gaps WHERE generation = :generation")
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(query, {"generation": generation})]


async def test_what_retention_had_taken_before_a_rebuild_is_named_and_answers_that_reach_there_are_incomplete(
    settings: Settings, environment: Mapping[str, str], engine: AsyncEngine
) -> None:
    await publish(settings, *(post_uploaded(number, 7, f"t{number}") for number in range(40)))
    async with running_counter(settings, engine):
        await eventually(lambda: counted(engine, 40))
        await eventually(lambda: is_said(engine, complete=True))
        await delete_records(settings, "post.uploaded", up_to=15)

        async with open_rebuild(settings, engine, since()):
            second = await typed(environment, "trends", "rebuild", "--yes")
        rebuilt = await typed(environment, "trends", "rebuild", "--yes")
        answer = await top(engine)
        await eventually(lambda: is_said(engine, complete=False))

    assert second.code == 1 and "another rebuild is under way" in second.errors
    assert rebuilt.code == 0 and "GONE: offsets 0 to 14 of post.uploaded:" in rebuilt.out, rebuilt
    assert answer == {f"t{number}": 1 for number in range(15, 40)}


async def test_what_retention_takes_during_a_rebuild_is_a_gap_of_the_new_counts(
    settings: Settings, engine: AsyncEngine
) -> None:
    rng = random.Random(1)
    texts = [rng.randbytes(LARGE // 2).hex() for _ in range(60)]
    await publish(settings, *(post_uploaded(n, 7, f"t{n}", text=said) for n, said in enumerate(texts)))
    async with running_counter(settings, engine):
        await eventually(lambda: counted(engine, 60))
        async with open_rebuild(settings, engine, since()) as candidate:
            await delete_records(settings, "post.uploaded", up_to=55)  # and the first fetch reaches to about the 40th
            comparison = await candidate.compare(since())
            await candidate.swap()
        await publish(settings, post_uploaded(60, 7, "t60"))
        await eventually(lambda: counted(engine, 61))
        answer = await top(engine)
        await eventually(lambda: is_said(engine, complete=False))

    (lost,) = candidate.lost
    assert 0 < lost.start < lost.end == 55
    assert (lost.source, lost.start, lost.end) in await gaps(engine, 2)
    assert answer == {f"t{number}": 1 for number in range(61) if not lost.start <= number < 55}
    assert comparison.live - comparison.candidate == 55 - lost.start


@asynccontextmanager
async def counting(environment: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that counts, killed at the end."""
    argv = (sys.executable, "-m", "tests.counting_process")
    process = await asyncio.create_subprocess_exec(*argv, env={**os.environ, **environment})
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


WRONG = [f"wrong{number}" for number in range(20)]


async def spoil(engine: AsyncEngine) -> None:
    """As a fault in the counts might: tags that nobody used."""
    rows = [{"hour": int(datetime.now(UTC).timestamp()) // 3600, "tag": tag} for tag in WRONG]
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO tailrace.trending_hours VALUES (1, :hour, :tag, 99)"), rows)


async def ask(engine: AsyncEngine, answers: list[dict[str, int]], enough: asyncio.Event) -> None:
    """What a server answers, again and again."""
    view = View(engine, Metrics())
    while not enough.is_set():
        await view.refresh()
        answers.append(dict(view.top("24h", 1000).tags))
        await asyncio.sleep(0.01)


@pytest.mark.timeout(300)
async def test_a_worker_killed_during_the_swap_and_live_events_leave_each_answer_whole_and_the_counts_exact(
    settings: Settings, environment: Mapping[str, str], engine: AsyncEngine
) -> None:
    made, more = posts(200), posts(60, seed=2)
    answers: list[dict[str, int]] = []
    enough = asyncio.Event()
    async with counting(environment) as worker:
        await publish(settings, *made)
        await eventually(lambda: counted(engine, len(made)), within=90)
        await spoil(engine)
        asking = asyncio.create_task(ask(engine, answers, enough))
        async with open_rebuild(settings, engine, since()) as candidate:
            await candidate.compare(since())
            async with engine.connect() as flush:  # as of a flush that is under way
                await flush.execute(text("SELECT live_generation FROM tailrace.trending_state FOR SHARE"))
                swapping = asyncio.create_task(candidate.swap())
                await eventually(lambda: _waits(engine))
                await publish(settings, *more)
                worker.kill()
                await worker.wait()
            await swapping
    async with running_counter(settings, engine):
        await eventually(lambda: counted(engine, len(made) + len(more)), within=90)
        expected = await recounted(settings, engine, "24h", generation=2)
        await eventually(lambda: answers[-1] == expected, within=60, what="the answers are the recount")
    enough.set()
    await asking

    seen = [{tag for tag in WRONG if tag in answer} for answer in answers]
    changes = sum(before != after for before, after in itertools.pairwise(seen))
    assert all(wrong in (set(), set(WRONG)) for wrong in seen)
    assert changes == 1 and seen[-1] == set()
    for before, after in itertools.pairwise(answers):
        assert all(after.get(tag, 0) >= uses for tag, uses in before.items() if tag not in WRONG)


async def _waits(engine: AsyncEngine) -> bool:
    """Whether the swap waits for the flush."""
    query = text("""
        SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE%'""")
    async with engine.connect() as connection:
        return bool((await connection.execute(query)).scalar_one())
