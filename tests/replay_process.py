"""A process that does nothing but read replays, to be killed: `python -m tests.replay_process [product]`, with the task
of the test or with those of the product.
"""

import asyncio
import os
import sys

from agents import TASKS
from streams.db import engine_for
from streams.metrics import Metrics
from streams.replay.replayer import Replayer
from streams.settings import Settings
from tests.replays import keeping_profiles, right


async def read_replays(of: str) -> None:
    settings = Settings.load()
    engine, tasks = engine_for(settings.database), TASKS if of == "product" else [keeping_profiles(right)]
    loop = asyncio.get_running_loop()
    await Replayer(engine, settings, tasks, f"reader-{os.getpid()}", Metrics(), loop.time).run()


def main() -> None:
    asyncio.run(read_replays("".join(sys.argv[1:])))


if __name__ == "__main__":
    main()
