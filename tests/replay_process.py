"""A process that does nothing but read replays with the test's task, to be killed: `python -m tests.replay_process`."""

import asyncio
import os

from streams.db import engine_for
from streams.metrics import Metrics
from streams.replay.replayer import Replayer
from streams.settings import Settings
from tests.replays import keeping_profiles, right


async def read_replays() -> None:
    settings = Settings.load()
    engine, tasks = engine_for(settings.database), [keeping_profiles(right)]
    loop = asyncio.get_running_loop()
    await Replayer(engine, settings, tasks, f"reader-{os.getpid()}", Metrics(), loop.time).run()


if __name__ == "__main__":
    asyncio.run(read_replays())
