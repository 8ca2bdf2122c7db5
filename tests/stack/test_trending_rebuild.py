"""The counts are counted anew beside the live ones, compared, and swapped with no gap in the answers."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.metrics import Metrics
from streams.settings import Settings
from streams.topics import create_topics
from streams.trending.rebuild import NotRebuilt, open_rebuild
from streams.trending.view import View
from tests.operations import say
from tests.trending import BLOCK, all_counted, posts, publish, recounted, running_counter, top
from tests.waiting import eventually

SINCE = timedelta(days=8)


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "TAILRACE_TRENDING__BLOCK": str(BLOCK), "TAILRACE_TRENDING__FLUSH": "50ms"}


@pytest.fixture(autouse=True)
async def topics(settings: Settings) -> None:
    await create_topics(settings)


def since() -> datetime:
    return datetime.now(UTC) - SINCE


async def spoil(engine: AsyncEngine) -> None:
    """As a fault in the counts might: a tag that nobody used, in the newest delta."""
    async with engine.begin() as connection:
        hour = int(datetime.now(UTC).timestamp()) // 3600
        values = {"hour": hour}
        await connection.execute(text("INSERT INTO tailrace.trending_hours VALUES (1, :hour, 'nonsense', 99)"), values)


async def generations(engine: AsyncEngine) -> list[int]:
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT DISTINCT generation FROM tailrace.trending_sources ORDER BY 1"))
        return [row.generation for row in rows]


async def test_counts_that_are_right_are_the_same_when_they_are_counted_anew(
    settings: Settings, engine: AsyncEngine
) -> None:
    await publish(settings, *posts(400))
    async with running_counter(settings, engine):
        await eventually(lambda: all_counted(settings, engine))
        async with open_rebuild(settings, engine, since()) as candidate:
            comparison = await candidate.compare(since())
            with pytest.raises(NotRebuilt, match="another rebuild is under way"):
                async with open_rebuild(settings, engine, since()):
                    pass

    assert comparison.different == []
    assert comparison.live == comparison.candidate > 100
    assert await generations(engine) == [1]


async def test_a_fault_in_the_live_counts_is_shown_and_gone_after_the_swap_without_a_gap_in_the_answers(
    settings: Settings, engine: AsyncEngine
) -> None:
    async with running_counter(settings, engine):
        await publish(settings, *posts(300))
        await eventually(lambda: all_counted(settings, engine))
        await spoil(engine)
        answers: list[list[str]] = []
        view, swapped = View(engine, Metrics()), asyncio.Event()
        asking = asyncio.create_task(_ask(view, answers, swapped))
        async with open_rebuild(settings, engine, since()) as candidate:
            comparison = await candidate.compare(since())
            publishing = asyncio.create_task(publish(settings, *posts(200, seed=2)))
            await candidate.swap()
            await publishing
        await eventually(lambda: all_counted(settings, engine, generation=2))
        swapped.set()
        await asking
        for window in ("1h", "6h", "24h", "7d"):
            assert await top(engine, window) == await recounted(settings, engine, window, generation=2), window

    assert [(tag, live, mine) for _, tag, live, mine in comparison.different] == [("nonsense", 99, 0)]
    assert await generations(engine) == [1, 2]
    assert len(answers) > 5
    assert all(answers)
    assert ("nonsense" in answers[0], "nonsense" in answers[-1]) == (True, False)


async def _ask(view: View, answers: list[list[str]], enough: asyncio.Event) -> None:
    """What a server would answer, again and again."""
    while not enough.is_set():
        await view.refresh()
        answers.append([tag for tag, _ in view.top("24h", 1000).tags])
        await asyncio.sleep(0.02)


async def test_nothing_is_swapped_unless_it_is_confirmed(
    settings: Settings, environment: Mapping[str, str], engine: AsyncEngine
) -> None:
    await publish(settings, *posts(50))
    async with running_counter(settings, engine):
        await eventually(lambda: all_counted(settings, engine))

        asked = await say(environment, "trends", "rebuild", "--from", "24h")
        before = await generations(engine)
        confirmed = await say(environment, "trends", "rebuild", "--yes")

    assert "Put the new counts in place of the live ones?" in asked.out, asked
    assert (asked.code, before) == (1, [1])
    assert (confirmed.code, await generations(engine)) == (0, [1, 2]), confirmed
    assert ", 0 differ\ngeneration 2 is live\n" in confirmed.out
