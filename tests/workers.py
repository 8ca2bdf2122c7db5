"""A worker in the test's own process, with tasks of the test's choosing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from unittest.mock import patch

from streams.app import Parts, worker_parts
from streams.metrics import Metrics
from streams.settings import Settings
from streams.task import Task
from streams.topics import create_topics
from streams.worker import work_until
from tests.waiting import eventually


@asynccontextmanager
async def running_worker(settings: Settings, tasks: Sequence[Task] = ()) -> AsyncIterator[Parts]:
    """Yields when it has joined the group; at the end it stops as it would on SIGTERM. It does not try out what the
    installation can decode, which takes a second in a process of its own.
    """
    await create_topics(settings)
    stopped = asyncio.Event()
    with patch("streams.worker.tell_formats", tell_nothing):
        async with worker_parts(settings, tasks) as parts:
            working = asyncio.create_task(work_until(stopped, parts))
            try:
                await eventually(lambda: parts.shell.problem() is None or working.done())
                yield parts
            finally:
                stopped.set()
                await working


async def tell_nothing(metrics: Metrics) -> None:
    """In the place of what tries the decoders."""
    await asyncio.Event().wait()
