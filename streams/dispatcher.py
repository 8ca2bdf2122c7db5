"""Decides what starts next: commands of all queues, by priority, as many at once as this worker may run.

Claims are made in batches, over all queues, for what can start soon. Whose turn it is, is decided at the claim and
again at the start.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

import structlog

from streams.gate import Gate
from streams.health import Progress
from streams.lanes import Lane, lane_of, lanes_of, with_replays
from streams.pipeline import Pipeline
from streams.records import Delivery
from streams.runs import Run

LOOK_AGAIN = 0.25
"""Seconds after which pauses, lost partitions and starved queues are looked at without being told."""

STOPPING = 2.0
"""Seconds, while stopping, for the database to take something back, and for a run to heed its end."""

BUSY_RATE = 1000
BUSY_PACE = 0.01
"""Above so many starts a second, one claim in so many seconds."""

LARGEST_CLAIM = 500

MOST_UNRECORDED = 1000
"""Runs that may wait to be recorded, e.g. while the database is away, beside those that are performed."""

log = structlog.get_logger(__name__)

Paused = Callable[[], frozenset[str]]


class Dispatcher:
    """``limits``: runs at once of each queue that is served; ``total``: of all together.

    A queue whose every run has been kept out by others' for 5 s gets one beyond ``total``, so none starves.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        priorities: Mapping[str, int],
        total: int,
        limits: Mapping[str, int],
        paused: Paused,
        progress: Progress,
    ) -> None:
        self._pipeline = pipeline
        self._claims = Gate(with_replays(priorities))
        self._starts = Gate(with_replays(priorities))
        self._total = total
        self._paused = paused
        self._progress = progress
        self._lanes = lanes_of(limits)
        self._runs: dict[asyncio.Task[None], Run] = {}
        self._changed = asyncio.Event()
        self._claiming: asyncio.Task[None] | None = None
        self._performing = 0
        self._not_before = 0.0
        self._stopping = False

    def put(self, queue: str, delivery: Delivery) -> None:
        """Never waits: the watermark's cap bounds what arrives."""
        self._lanes[lane_of(queue, delivery)].waiting.append(delivery)
        self._changed.set()

    def partitions_lost(self) -> None:
        """Some deliveries are no longer live: forget those that wait, give back those that are claimed."""
        for lane in self._lanes.values():
            lane.forget_lost()
        self._changed.set()

    async def run(self) -> None:
        """Claim and start, until cancelled; a batch that is being claimed then is still dealt with."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN):
                    await self._changed.wait()
            self._changed.clear()
            self._progress.beat()
            await self._pace()
            if batch := self._next_batch():
                self._claiming = asyncio.create_task(self._claim(batch), name="claim")
                await asyncio.shield(self._claiming)
            await self._give_back_what_may_not_start()
            self._start_ready()

    async def finish(self, within: timedelta) -> None:
        """Give back what has not started, let the rest end within this time; what still runs then is stopped and
        given back.
        """
        self._stopping = True
        deadline = asyncio.get_running_loop().time() + within.total_seconds()
        if self._claiming:
            await asyncio.wait([self._claiming], timeout=within.total_seconds())
            self._claiming.cancel()
        await self._give_back_soon([run for lane in self._lanes.values() for run in lane.ready])
        if self._runs:
            await asyncio.wait(self._runs, timeout=max(0, deadline - asyncio.get_running_loop().time()))
        late = dict(self._runs)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=STOPPING)
        await self._give_back_soon(list(late.values()))

    async def _give_back_soon(self, runs: Sequence[Run]) -> None:
        """While stopping: what cannot be given back now, because the database is away, is found by its lease."""
        try:
            async with asyncio.timeout(STOPPING):
                await self._give_back(runs)
        except Exception as error:  # noqa: BLE001 - whatever it is, we stop
            log.warning("not given back: the leases must run out", runs=len(runs), error=repr(error))

    def _next_batch(self) -> list[Delivery]:
        """What can start soon. The queues share the batch by priority, too: with short runs, claiming is what takes
        the time.
        """
        now, room, paused = asyncio.get_running_loop().time(), self._room(), self._paused()
        lanes = [lane for lane in self._lanes.values() if lane.queue not in paused]
        for lane in lanes:
            lane.claiming = 0
            lane.measure(now)
        ready, soon = sum(len(lane.ready) for lane in lanes), sum(lane.soon for lane in lanes)
        wanted = min(LARGEST_CLAIM, max(room, soon) - ready) if ready < max(room, soon // 2, 1) else 0
        batch: list[Delivery] = []
        asking = [lane for lane in lanes if lane.waiting]
        while len(batch) < wanted and (names := [lane.name for lane in asking if lane.may_claim(room)]):
            batch.append(self._lanes[self._claims.next(names)].claim(now))
        # Where long runs fill every place nothing is wanted; a queue with nothing ready could not even be starved.
        batch += [lane.claim(now) for lane in lanes if lane.is_left_out(now) and lane.may_claim(room)]
        return batch

    async def _pace(self) -> None:
        """Under load let more gather, so that one claim takes many; at low rates a command never waits here."""
        loop = asyncio.get_running_loop()
        if (early := self._not_before - loop.time()) > 0:
            await asyncio.sleep(early)
        busy = sum(lane.rate for lane in self._lanes.values()) > BUSY_RATE
        self._not_before = loop.time() + (BUSY_PACE if busy else 0)

    def _room(self) -> int:
        return max(0, min(self._total - self._performing, MOST_UNRECORDED - len(self._runs)))

    async def _claim(self, batch: Sequence[Delivery]) -> None:
        runs = await self._pipeline.admit(batch)
        now = asyncio.get_running_loop().time()
        for run in runs:
            self._lane(run).claimed(run, now)
        self._changed.set()  # more may wait than one batch takes

    def _start_ready(self) -> None:
        """Start as many as may run, each time the queue whose turn it is."""
        if self._stopping:
            return
        now = asyncio.get_running_loop().time()
        while lanes := self._lanes_that_may_start(now):
            lane = self._lanes[self._starts.next(lanes)]
            run = lane.start(now)
            task = asyncio.create_task(self._run(run))
            self._runs[task] = run
            self._performing += 1
            task.add_done_callback(self._ended)

    def _lanes_that_may_start(self, now: float) -> list[str]:
        if self._room():
            return [lane.name for lane in self._lanes.values() if lane.may_start]
        return [lane.name for lane in self._lanes.values() if lane.may_start and lane.is_starved(now)]

    def _lane(self, run: Run) -> Lane:
        return self._lanes[lane_of(run.received.order.queue, run.received.delivery)]

    async def _run(self, run: Run) -> None:
        await self._pipeline.run(run, self._performed)

    def _ended(self, task: asyncio.Task[None]) -> None:
        run = self._runs.pop(task)
        if not run.performed:
            self._performed(run)
        elif len(self._runs) + 1 >= MOST_UNRECORDED:
            self._start_ready()
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error and not self._stopping:  # while stopping, what was not recorded is given back
            log.error("run could not be recorded; the ledger has it", error=repr(error), run=str(run.command.id))
            self._pipeline.leave_to_ledger(run)

    def _performed(self, run: Run) -> None:
        """Its place is free again."""
        run.performed = True
        self._performing -= 1
        self._lane(run).count(-1)
        self._start_ready()
        if any(lane.waiting for lane in self._lanes.values()):
            self._changed.set()

    async def _give_back_what_may_not_start(self) -> None:
        paused = self._paused()
        for lane in self._lanes.values():
            await self._give_back(lane.hold_back(lane.queue in paused))

    async def _give_back(self, runs: Sequence[Run]) -> None:
        if runs:
            await self._pipeline.give_back(runs)
