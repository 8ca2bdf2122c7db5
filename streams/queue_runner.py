"""Runs the commands of one queue: as many at once as the queue may, and no more are claimed than can start."""

import asyncio
from datetime import timedelta

import structlog

from streams.pipeline import Pipeline
from streams.records import Delivery
from streams.runs import Run

log = structlog.get_logger(__name__)


class QueueRunner:
    """Deliveries wait here in the order of their partition and are admitted as runs end.

    Each queue has runs of its own, so a slow one holds no other back.
    """

    def __init__(self, queue: str, pipeline: Pipeline, concurrency: int) -> None:
        self.queue = queue
        self._pipeline = pipeline
        self._waiting: asyncio.Queue[Delivery] = asyncio.Queue()
        self._free = asyncio.Semaphore(concurrency)
        self._tasks: set[asyncio.Task[None]] = set()
        self._admitting: asyncio.Task[None] | None = None

    def put(self, delivery: Delivery) -> None:
        """Never waits: the watermark's cap bounds what arrives."""
        self._waiting.put_nowait(delivery)

    async def run(self) -> None:
        """Admit and start runs, until cancelled; a batch that is being claimed then is still started."""
        while True:
            batch = await self._next_batch()
            self._admitting = asyncio.create_task(self._admit(batch))
            await asyncio.shield(self._admitting)

    async def finish(self, within: timedelta) -> None:
        """Let what is claimed and runs end within this time; what still runs then is stopped and given back."""
        deadline = asyncio.get_running_loop().time() + within.total_seconds()
        if self._admitting:
            await asyncio.wait([self._admitting], timeout=within.total_seconds())
            self._admitting.cancel()
        if not self._tasks:
            return
        await asyncio.wait(self._tasks, timeout=max(0, deadline - asyncio.get_running_loop().time()))
        late = list(self._tasks)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _admit(self, batch: list[Delivery]) -> None:
        runs = await self._pipeline.admit(batch)
        for _ in range(len(batch) - len(runs)):
            self._free.release()
        for run in runs:
            task = asyncio.create_task(self._run(run), name=f"run {run.task.name} {run.command.id}")
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def _next_batch(self) -> list[Delivery]:
        """At least one live delivery, and as many more as can start now. Takes a free place for each."""
        batch: list[Delivery] = []
        while not batch or (not self._waiting.empty() and not self._free.locked()):
            delivery = await self._waiting.get()
            if delivery.live:
                await self._free.acquire()
                batch.append(delivery)
        return batch

    async def _run(self, run: Run) -> None:
        try:
            await self._pipeline.run(run)
        except asyncio.CancelledError:
            await self._pipeline.give_back(run)
            raise

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._free.release()
        if not task.cancelled() and (error := task.exception()):
            log.error("run could not be recorded; its lease will run out", error=repr(error), run=task.get_name())
