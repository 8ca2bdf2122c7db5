"""A process that does nothing but count trends, to be killed: `python -m tests.counting_process`."""

import asyncio

from streams.db import engine_for
from streams.health import Health
from streams.metrics import Metrics
from streams.settings import Settings
from streams.trending.counter import Counter
from streams.trending.store import TrendingStore


async def count() -> None:
    settings = Settings.load()
    engine = engine_for(settings.database)
    await Counter(settings, TrendingStore(engine), Metrics(), Health().progress("counter")).run()


if __name__ == "__main__":
    asyncio.run(count())
