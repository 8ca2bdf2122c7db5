"""Trending on real Kafka and PostgreSQL: the view's answers equal a recount of the topic."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.metrics import Metrics
from streams.settings import Settings
from streams.topics import create_topics
from streams.trending.archive import archive
from streams.trending.view import View
from tests.events import delete_records, post_uploaded
from tests.trend_reference import trends
from tests.trending import BLOCK, all_counted, posts, publish, recounted, recounted_panes, running_counter, top
from tests.waiting import eventually


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "TAILRACE_TRENDING__BLOCK": str(BLOCK), "TAILRACE_TRENDING__FLUSH": "100ms"}


@pytest.fixture(autouse=True)
async def topics(settings: Settings) -> None:
    await create_topics(settings)


async def test_an_event_is_in_the_answer_and_the_answer_says_how_fresh_it_is(
    settings: Settings, engine: AsyncEngine
) -> None:
    async with running_counter(settings, engine):
        await publish(settings, post_uploaded(1, 1, "Sunset", "#cat"), post_uploaded(2, 2, "sunset"))
        await eventually(lambda: _is_top(engine, {"sunset": 2, "cat": 1}))
        view = View(engine, Metrics())
        await eventually(lambda: _is_complete(view))

    answer = view.top("1h", 10)
    assert answer.as_of is not None
    assert datetime.now(UTC) - answer.as_of < timedelta(seconds=10)
    assert (answer.end - answer.start, answer.rank) == (timedelta(hours=1), "count")
    assert answer.start <= datetime.now(UTC) < answer.end


async def _is_top(engine: AsyncEngine, wanted: dict[str, int]) -> bool:
    return await top(engine) == wanted


async def _is_complete(view: View) -> bool:
    await view.refresh()
    return view.top("1h", 1).complete


async def test_counts_equal_a_recount_of_the_topic_when_the_counter_is_killed_again_and_again(
    settings: Settings, engine: AsyncEngine
) -> None:
    await publish(settings, *posts(600))
    for lifetime in (1, 2, 3):
        async with running_counter(settings, engine):
            await eventually(partial(_flushed, engine, lifetime))
        await publish(settings, *posts(300, seed=lifetime + 1))

    async with running_counter(settings, engine):
        await eventually(lambda: all_counted(settings, engine))

    for window in ("5m", "1h", "6h", "24h", "7d"):
        assert await top(engine, window) == await recounted(settings, engine, window), window


async def _flushed(engine: AsyncEngine, deltas: int) -> bool:
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT count(*) FROM tailrace.trending_deltas"))
        return int(found.scalar_one()) >= deltas


async def test_two_counters_that_both_believe_to_own_a_source_store_each_offset_once(
    settings: Settings, engine: AsyncEngine
) -> None:
    """Groups of their own stand for a rebalance that one of them has not noticed."""
    await publish(settings, *posts(500))

    with pytest.MonkeyPatch.context() as patch:
        async with running_counter(settings, engine):
            patch.setattr("streams.trending.consumer.trending_group", lambda kafka: f"{kafka.topic_prefix}other")
            async with running_counter(settings, engine):
                await publish(settings, *posts(500, seed=2))
                await eventually(lambda: all_counted(settings, engine))

    assert await top(engine) == await recounted(settings, engine)


async def test_archived_and_merged_deltas_give_the_same_answers_and_a_view_that_follows_them_too(
    settings: Settings, engine: AsyncEngine
) -> None:
    following = View(engine, Metrics())
    async with running_counter(settings, engine):
        for seed in range(4):
            await publish(settings, *posts(100, seed=seed))
            await eventually(lambda: all_counted(settings, engine))
            await following.refresh()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("streams.trending.archive.AT_LEAST", 2)
                await asyncio.gather(*(archive(engine, 1, timedelta(seconds=0), BLOCK) for _ in range(3)))
        await publish(settings, *posts(100, seed=9))
        await eventually(lambda: all_counted(settings, engine))
        await following.refresh()

    for window in ("1h", "6h", "24h", "7d"):
        wanted = await recounted(settings, engine, window)
        assert await top(engine, window) == wanted, window
        assert dict(following.top(window, 1000).tags) == wanted, window
    assert await _archived(engine) > 0
    answer = following.trending("6h", 100)
    minute = int(answer.end.timestamp()) // 60 - 1
    trending = trends(await recounted_panes(settings, engine), minute, 6, following.half_life)
    assert {t.tag: t.uses for t in answer.trends} == {t.tag: t.uses for t in trending}
    assert [t.score for t in answer.trends] == pytest.approx([t.score for t in trending])
    assert answer.trends


async def _archived(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM tailrace.trending_hours"))).scalar_one())


async def test_an_event_from_the_future_is_a_dead_letter_once(settings: Settings, engine: AsyncEngine) -> None:
    ahead = post_uploaded(1, 1, "tomorrow", created_at=datetime.now(UTC) + timedelta(hours=1))

    async with running_counter(settings, engine):
        await publish(settings, ahead)
        await eventually(lambda: all_counted(settings, engine))
    async with engine.connect() as connection:
        rows = (await connection.execute(text("SELECT topic, payload, headers FROM tailrace.outbox"))).all()

    assert await top(engine) == {}
    assert [(row.topic, msgspec.json.decode(row.payload)["post_id"]) for row in rows] == [("post.uploaded.dlq", 1)]
    assert "ahead" in dict(rows[0].headers)["tailrace-reason"]


async def test_a_topic_that_was_made_anew_is_refused_loudly_and_a_new_generation_counts_it(
    settings: Settings, engine: AsyncEngine
) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text("""INSERT INTO tailrace.trending_sources
                    SELECT 1, 'post.uploaded:' || p, 900, 0, now() FROM generate_series(0, 3) AS p""")
        )

    async with running_counter(settings, engine) as counter:
        await eventually(counter.problem)
        assert "tailrace trends restart" in (counter.problem() or "")
        await publish(settings, post_uploaded(1, 1, "phoenix"))
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE tailrace.trending_state SET live_generation = 2"))
        await eventually(lambda: _is_top(engine, {"phoenix": 1}))

    assert counter.problem() is None


async def test_events_that_retention_took_before_they_were_counted_make_answers_incomplete(
    settings: Settings, engine: AsyncEngine
) -> None:
    await publish(settings, *(post_uploaded(number, 1, f"t{number}") for number in range(10)))
    async with running_counter(settings, engine):
        await eventually(lambda: all_counted(settings, engine))
    await publish(settings, *(post_uploaded(number, 1, f"t{number}") for number in range(10, 20)))
    await delete_records(settings, "post.uploaded")
    await publish(settings, post_uploaded(99, 1, "after"))

    view = View(engine, Metrics())
    async with running_counter(settings, engine):
        await eventually(lambda: _shows(view, "after"))

    answer = view.top("1h", 100)
    assert not answer.complete
    assert dict(answer.tags) == {"after": 1} | {f"t{number}": 1 for number in range(10)}


async def _shows(view: View, tag: str) -> bool:
    await view.refresh()
    return tag in dict(view.top("1h", 100).tags)
