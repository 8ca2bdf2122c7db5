"""Feed the queues from one replay: what is missing, or all of it again, as much at once as live work does not feel.

Commands are submitted in the transaction that moves the position: whoever is killed when, the next reader goes on
behind the last record whose commands are on their queues, and counts nothing twice.
"""

import asyncio
from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncEngine

from streams.db import autocommit
from streams.metrics import Metrics
from streams.partition_spans import reading_client
from streams.redrive import Pace
from streams.replay import store
from streams.replay.fates import SUBMITTED, Judge, Judged
from streams.replay.planning import read_months
from streams.replay.reading import Chunk, Reading
from streams.replay.request import Selection
from streams.replay.store import Replay
from streams.replay.submitting import submit_orders
from streams.replay.throttle import Throttle
from streams.settings import Settings

AT_ONCE = 50
"""Records that are dealt with at a time; between two chunks the worker's other parts have their turn."""

PACED_PART = 0.1
"""Seconds: under a rate, what is submitted together makes up so much of it."""

LONGEST_REST = 1.0
STORE_EVERY = 1.0


class Feeding:
    """One replay in the hands of one worker."""

    def __init__(
        self,
        engine: AsyncEngine,
        settings: Settings,
        replay: Replay,
        selection: Selection,
        metrics: Metrics,
        monotonic: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._replay = replay
        self._selection = selection
        self._read = metrics.replayed.labels(replay.request.mode)
        self._window = metrics.replay_window
        self._monotonic = monotonic
        self._throttle = Throttle(settings.replay, monotonic)
        rate = replay.request.rate
        self._pace = Pace(rate, monotonic, asyncio.sleep) if rate else None
        self._rate_part = max(1, int(rate * PACED_PART)) if rate else AT_ONCE
        self._stored_at = self._submitted_at = monotonic()

    async def run(self) -> None:
        """To the end of what is to be read. Raises ``LostReplay``, and what broker and database raise."""
        try:
            await self._read_all()
        finally:
            self._window.set(0)

    async def _read_all(self) -> None:
        async with reading_client(self._settings.kafka) as consumer:
            async with autocommit(self._engine) as connection:
                judge = Judge(self._selection, await read_months(connection), self._mails_left())
            reading = Reading(self._settings.kafka, consumer, self._replay.request.topic)
            async for chunk in reading.chunks(self._replay.left, AT_ONCE):
                await self._open_window()
                began = self._monotonic()
                async with autocommit(self._engine) as connection:
                    judged = await judge.judge(connection, chunk.records)
                await asyncio.sleep(min(LONGEST_REST, (self._monotonic() - began) * self._throttle.rest))
                await self._feed(chunk, judged)
                self._read.inc(len(chunk.records))
        await self._store()

    def _mails_left(self) -> int:
        """Under the cap, which holds for all readers of this replay together."""
        request, tasks = self._replay.request, self._replay.counts.tasks
        mailing = [task.name for task in self._selection.tasks if task.sends_mail]
        sent = sum(tasks.get(name, {}).get(fate, 0) for name in mailing for fate in SUBMITTED)
        return max(0, request.mail_cap - sent) if request.send_mail else 0

    async def _feed(self, chunk: Chunk, judged: Judged) -> None:
        """Submit the chunk's commands, a part at a time, as there is room."""
        self._replay.gaps += chunk.gaps
        places = [order.place for order in judged.orders if order.fate in SUBMITTED]
        begin = 0
        while places:
            room = await self._room()
            # A record's commands are not parted.
            end = places[room] if room < len(places) and places[room] > places[0] else places[-1] + 1
            await self._submit(chunk, judged, begin, end)
            places, begin = [place for place in places if place >= end], end
        self._replay.counts.add(judged.count(begin, len(chunk.records)))
        self._replay.positions[chunk.partition] = chunk.next_offset
        if self._monotonic() >= self._stored_at + STORE_EVERY:
            await self._store()

    async def _submit(self, chunk: Chunk, judged: Judged, begin: int, end: int) -> None:
        """What the records at these places cause, and the position behind them, in one transaction."""
        orders = [order for order in judged.orders if begin <= order.place < end and order.fate in SUBMITTED]
        for _ in orders if self._pace else ():
            await self._pace.wait()  # type: ignore[union-attr]
        async with self._engine.begin() as connection:
            submitted = await submit_orders(connection, self._replay.id, orders, self._replay.generation)
            for order in orders:
                order.fate = order.fate if order.id in submitted else "repeated"
            self._replay.counts.add(judged.count(begin, end))
            self._replay.positions[chunk.partition] = chunk.records[end - 1].offset + 1
            await store.advance(connection, self._replay, self._settings.worker.lease)
        self._stored_at = self._submitted_at = self._monotonic()

    async def _room(self) -> int:
        """How many commands may go together now; waits until one may."""
        await asyncio.sleep(max(0.0, self._submitted_at + self._throttle.pause - self._monotonic()))
        while True:
            window = await self._open_window()
            async with autocommit(self._engine) as connection:
                free = window - await store.count_open(connection, self._replay)
            if free > 0:
                return min(free, self._throttle.part, self._rate_part)
            await self._wait()

    async def _open_window(self) -> int:
        """The window, when it is open: the replay may have to rest first."""
        while True:
            if self._throttle.is_due:
                await self._look()
            if self._throttle.window:
                return self._throttle.window
            await self._wait()

    async def _look(self) -> None:
        async with autocommit(self._engine) as connection:
            open_runs = await store.count_open(connection, self._replay)
            self._throttle.note(await store.live_waits(connection, self._throttle.span), open_runs)
        self._window.set(self._throttle.window)

    async def _wait(self) -> None:
        """For a moment, in which the lease is kept."""
        if self._monotonic() >= self._stored_at + STORE_EVERY:
            await self._store()
        await asyncio.sleep(self._throttle.pause)

    async def _store(self) -> None:
        async with self._engine.begin() as connection:
            await store.advance(connection, self._replay, self._settings.worker.lease)
        self._stored_at = self._monotonic()
