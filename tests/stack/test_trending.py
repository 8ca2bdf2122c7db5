"""Trending on real Kafka and PostgreSQL: the view's answers equal a recount of the topic."""

import asyncio
import random
from collections import Counter as Tally
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.events import PostUploaded
from schemas.topics import TRENDING_TOPICS
from streams.health import Health
from streams.kafka_client import client_options, full_name
from streams.metrics import Metrics
from streams.publisher import AsyncPublisher
from streams.settings import Settings
from streams.topics import create_topics
from streams.trending.counter import Counter
from streams.trending.delta import unpack
from streams.trending.merger import merge_old_deltas
from streams.trending.store import TrendingStore
from streams.trending.view import View
from tests.events import post_uploaded, records_of
from tests.recount import recount
from tests.waiting import eventually

BLOCK = 1000


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "TAILRACE_TRENDING__BLOCK": str(BLOCK), "TAILRACE_TRENDING__FLUSH": "100ms"}


@pytest.fixture(autouse=True)
async def topics(settings: Settings) -> None:
    await create_topics(settings)


@asynccontextmanager
async def running_counter(settings: Settings, engine: AsyncEngine) -> AsyncIterator[Counter]:
    counter = Counter(settings, TrendingStore(engine), Metrics(), Health().progress("counter"))
    task = asyncio.create_task(counter.run())
    try:
        yield counter
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def publish(settings: Settings, *posts: PostUploaded) -> None:
    prefix = settings.kafka.topic_prefix
    async with AsyncPublisher(**client_options(settings.kafka), topic_prefix=prefix) as publisher:
        await publisher.publish(*posts)


async def top(engine: AsyncEngine, window: str = "1h") -> dict[str, int]:
    view = View(engine, Metrics())
    await view.refresh()
    return dict(view.top(window, 1000).tags)


async def recounted(settings: Settings, engine: AsyncEngine, minutes: int = 60) -> dict[str, int]:
    """The same from the topics themselves; only the offsets refused for their time are taken from the deltas."""
    last = int(datetime.now(UTC).timestamp()) // 60
    total: Tally[str] = Tally()
    for topic in TRENDING_TOPICS:
        records = await records_of(settings, topic)
        for partition in {record.partition for record in records}:
            refused = await _refused(engine, f"{topic}:{partition}")
            panes = recount([r for r in records if r.partition == partition], BLOCK, refused)
            for minute, tags in panes.items():
                total.update(tags if last - minutes < minute <= last else {})
    return dict(total)


async def _refused(engine: AsyncEngine, source: str) -> set[int]:
    query = text("SELECT format, body FROM tailrace.trending_deltas WHERE source = :source")
    async with engine.connect() as connection:
        rows = (await connection.execute(query, {"source": source})).all()
    bodies = [unpack(row.body, row.format) for row in rows]
    return {offset for body in bodies for offset in (*body.late, *body.future)}


async def all_counted(settings: Settings, engine: AsyncEngine) -> bool:
    """Whether the counters have stored every offset of the topics."""
    ends = {topic: len(await records_of(settings, topic)) for topic in TRENDING_TOPICS}
    query = text("SELECT coalesce(sum(next_offset), 0) FROM tailrace.trending_sources WHERE generation = 1")
    async with engine.connect() as connection:
        return int((await connection.execute(query)).scalar_one()) == sum(ends.values())


def posts(count: int, seed: int = 1) -> list[PostUploaded]:
    """Posts with repeats and spam: few authors use few tags often."""
    rng, made = random.Random(seed), []
    for number in range(count):
        if made and rng.random() < 0.05:
            made.append(rng.choice(made))
        tags = [f"#Tag{min(int(rng.paretovariate(0.7)), 50)}" for _ in range(rng.randrange(4))]
        age = timedelta(minutes=rng.choice([0, 0, 0, 5, 50, 70, 60 * 24 * 9, -7]))
        visibility = rng.choice(["public", "public", "public", "private"])
        when = datetime.now(UTC) - age
        made.append(post_uploaded(number, rng.randrange(60), *tags, created_at=when, visibility=visibility))
    return made


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
            await eventually(lambda lifetime=lifetime: _flushed(engine, lifetime))
        await publish(settings, *posts(300, seed=lifetime + 1))

    async with running_counter(settings, engine):
        await eventually(lambda: all_counted(settings, engine))

    assert await top(engine) == await recounted(settings, engine)
    assert await top(engine, "24h") == await recounted(settings, engine, 24 * 60)


async def _flushed(engine: AsyncEngine, deltas: int) -> bool:
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT count(*) FROM tailrace.trending_deltas"))
        return int(found.scalar_one()) >= deltas


async def test_two_counters_that_both_believe_to_own_a_source_store_each_offset_once(
    settings: Settings, engine: AsyncEngine
) -> None:
    """Groups of their own stand for a rebalance that one of them has not noticed."""
    zombie = settings.model_copy(update={"kafka": settings.kafka})
    await publish(settings, *posts(500))

    with pytest.MonkeyPatch.context() as patch:
        async with running_counter(settings, engine):
            patch.setattr("streams.trending.counter.trending_group", lambda kafka: f"{kafka.topic_prefix}other")
            async with running_counter(zombie, engine):
                await publish(settings, *posts(500, seed=2))
                await eventually(lambda: all_counted(settings, engine))

    assert await top(engine) == await recounted(settings, engine)


async def test_merged_deltas_give_the_same_answer_and_a_view_that_follows_them_too(
    settings: Settings, engine: AsyncEngine
) -> None:
    view = View(engine, Metrics())
    async with running_counter(settings, engine):
        for seed in range(3):
            await publish(settings, *posts(100, seed=seed))
            await eventually(lambda: all_counted(settings, engine))
            await view.refresh()
        before = await top(engine)
        await publish(settings, *posts(100, seed=9))
        await eventually(lambda: all_counted(settings, engine))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("streams.trending.merger.AT_LEAST", 2)
            assert await merge_old_deltas(engine, 1, timedelta(seconds=0)) > 0
        await view.refresh()

    after = await top(engine)
    assert after == await recounted(settings, engine)
    assert dict(view.top("1h", 1000).tags) == after
    assert before != after


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
    await _delete_records(settings)
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


async def _delete_records(settings: Settings) -> None:
    from aiokafka import TopicPartition
    from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

    admin = AIOKafkaAdminClient(**client_options(settings.kafka))
    await admin.start()
    topic = full_name(settings.kafka, "post.uploaded")
    await admin.delete_records({TopicPartition(topic, number): RecordsToDelete(-1) for number in range(4)})
    await admin.close()
