"""Counters, posts and the recount that trending answers are held against."""

import asyncio
import random
from collections import Counter as Tally
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas import tables
from schemas.events import PostUploaded
from schemas.tables_trends import trending_snapshots
from schemas.topics import TRENDING_TOPICS
from streams.health import Health
from streams.kafka_client import client_options
from streams.metrics import Metrics
from streams.publisher import AsyncPublisher
from streams.settings import Settings
from streams.trending import sql
from streams.trending.counter import Counter
from streams.trending.delta import Body, Delta, Panes, add_panes, unpack
from streams.trending.store import TrendingStore, delta_row
from streams.trending.view import View
from streams.trending.windows import HOUR_WINDOWS, MINUTE_WINDOWS
from tests.events import post_uploaded, records_of
from tests.one_run import NOON, Workshop
from tests.recount import recount

BLOCK = 1000


class Stored:
    """Counts as a counter stores them, of one source, with all that was stored in ``panes``."""

    def __init__(self, engine: AsyncEngine, generation: int = 1) -> None:
        self._engine = engine
        self._generation, self._source = generation, "post.uploaded:0"
        self._offset = 0
        self.panes: Panes = {}

    async def add(self, panes: Panes, counted_until: datetime) -> None:
        """One delta more; the source is counted up to that instant."""
        delta = Delta(self._source, self._offset, self._offset + 1, Body(panes))
        self._offset += 1
        add_panes(self.panes, panes)
        key = {"generation": self._generation, "source": self._source}
        source = {**key, "next_offset": self._offset, "archived_offset": 0, "counted_until": counted_until}
        async with self._engine.begin() as connection:
            await connection.execute(sql.ADD_DELTA, delta_row(self._generation, delta))
            statement = insert(tables.trending_sources).values(**source)
            moved = {"next_offset": self._offset, "counted_until": counted_until}
            keys = [tables.trending_sources.c.generation, tables.trending_sources.c.source]
            await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=moved))


async def a_tag_that_trends(shop: Workshop) -> None:
    """In the hour before noon."""
    await Stored(shop.engine).add({int(NOON.timestamp()) // 60 - 1: {"sunset": 11}}, counted_until=NOON)


async def snapshots(shop: Workshop) -> list[tuple[datetime, str, float]]:
    """What was kept of each hour."""
    return [(row["as_of"], row["tag"], row["score"]) for row in await shop.rows(trending_snapshots)]


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


async def recounted(settings: Settings, engine: AsyncEngine, window: str = "1h", generation: int = 1) -> dict[str, int]:
    """The same from the topics themselves."""
    first, last = _span(window)
    total: Tally[str] = Tally()
    for minute, tags in (await recounted_panes(settings, engine, generation)).items():
        total.update(tags if first <= minute <= last else {})
    return dict(total)


async def recounted_panes(settings: Settings, engine: AsyncEngine, generation: int = 1) -> Panes:
    """Uses by minute, from the topics; only the offsets refused for their time are taken from the deltas."""
    panes: Panes = {}
    for topic in TRENDING_TOPICS:
        records = await records_of(settings, topic)
        for partition in {record.partition for record in records}:
            refused = await _refused(engine, f"{topic}:{partition}", generation)
            add_panes(panes, recount([r for r in records if r.partition == partition], BLOCK, refused))
    return panes


def _span(window: str) -> tuple[int, int]:
    """First and last minute of the window that ends now, or with the present hour where it is one of hours."""
    minute = int(datetime.now(UTC).timestamp()) // 60
    if window in MINUTE_WINDOWS:
        return minute - MINUTE_WINDOWS[window] + 1, minute
    hour = minute // 60
    return (hour - HOUR_WINDOWS[window] + 1) * 60, hour * 60 + 59


async def _refused(engine: AsyncEngine, source: str, generation: int) -> set[int]:
    query = text(
        "SELECT format, body FROM tailrace.trending_deltas WHERE source = :source AND generation = :generation"
    )
    async with engine.connect() as connection:
        rows = (await connection.execute(query, {"source": source, "generation": generation})).all()
    bodies = [unpack(row.body, row.format) for row in rows]
    return {offset for body in bodies for offset in (*body.late, *body.future)}


async def all_counted(settings: Settings, engine: AsyncEngine, generation: int = 1) -> bool:
    """Whether the counters have stored every offset of the topics."""
    ends = {topic: len(await records_of(settings, topic)) for topic in TRENDING_TOPICS}
    query = text("SELECT coalesce(sum(next_offset), 0) FROM tailrace.trending_sources WHERE generation = :generation")
    async with engine.connect() as connection:
        return int((await connection.execute(query, {"generation": generation})).scalar_one()) == sum(ends.values())


def posts(count: int, seed: int = 1) -> list[PostUploaded]:
    """Posts with repeats and spam: few authors use few tags often."""
    rng = random.Random(seed)
    made: list[PostUploaded] = []
    for number in range(count):
        if made and rng.random() < 0.05:
            made.append(rng.choice(made))
        tags = [f"#Tag{min(int(rng.paretovariate(0.7)), 50)}" for _ in range(rng.randrange(4))]
        age = timedelta(minutes=rng.choice([0, 0, 0, 5, 50, 70, 60 * 24 * 9, -7]))
        visibility = rng.choice(["public", "public", "public", "private"])
        when = datetime.now(UTC) - age
        made.append(post_uploaded(number, rng.randrange(60), *tags, created_at=when, visibility=visibility))
    return made
