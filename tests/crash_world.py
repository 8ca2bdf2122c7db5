"""Workers, relays, timers and sweepers over one database and a model of the broker; each can be lost or frozen at a
named point. Time passes only when the test says so.
"""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backend import BackendTables
from schemas.commands import Command, command_id
from schemas.envelope import Identity
from streams.health import Health
from streams.metrics import Metrics
from streams.relay import Relay
from streams.relay_lead import Lead
from streams.schedules.timer import Timer
from streams.settings import Settings
from streams.submission import Submission, command_headers, requeue, submit
from streams.sweeper import Sweeper
from tests.broker_model import PARTITIONS, Broker, ModelProducer
from tests.crash_checks import Checks
from tests.crash_database import FakeClock, WatchedEngine, WatchedLeadConnection
from tests.crash_points import Point
from tests.crash_process import Fates, Process
from tests.crash_tasks import QUEUE, TASKS
from tests.crash_worker import TOPIC, Surroundings, Worker


@dataclass(frozen=True)
class Ground:
    """What all worlds of a test stand on, one after the other."""

    settings: Settings
    engine: AsyncEngine
    relaying: asyncpg.Connection
    observing: asyncpg.Connection
    metrics: Metrics
    backend: BackendTables
    begin: datetime


class World:
    """Made by ``Stage.new_world``."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.fates = Fates()
        self.clock = FakeClock(ground.begin)
        self.broker = Broker()
        self.checks = Checks(ground.observing, self.broker, ground.begin)
        self.around = Surroundings(
            ground.settings, ground.engine, self.broker, self.clock, ground.metrics, ground.backend
        )
        self._names = 0
        self.workers = [self._new_worker(partition) for partition in range(PARTITIONS)]
        self.superseded: list[Worker] = []
        self.frozen: list[Process] = []
        """Relays, timers and sweepers."""

    def publish(self, task: str, number: int, partition: int) -> None:
        """The command on its queue, as a router puts it there; of the same number it is a repeat."""
        command = self._command(task, number)
        self.checks.expect(command)
        value, headers = msgspec.json.encode(command), command_headers(task)
        self.broker.append(TOPIC, value, b"%d" % number, headers, self._now_ms(), partition)

    def publish_garbage(self, partition: int) -> None:
        """What nobody can decode."""
        self.checks.garbage += 1
        self.broker.append(TOPIC, b"{", None, [], self._now_ms(), partition)

    async def submit(self, task: str, number: int) -> None:
        """The command in a caller's transaction. Of a caller that is lost nothing is expected but what it has
        committed.
        """
        client = self._process("client")
        command = self._command(task, number)

        async def give() -> None:
            async with WatchedEngine.of(self.ground.engine, client).begin() as connection:
                await submit(connection, Submission(command, QUEUE, b"%d" % number))

        await client.take_step(give())
        last = self.fates.met[-1][0] if client.dead else None
        if last in (None, Point.SUBMIT_COMMITTED):
            self.checks.expect(command)

    async def requeue(self, run: uuid.UUID) -> bool:
        """A dead run gets another attempt."""
        async with self.ground.engine.begin() as connection:
            found = await requeue(connection, run, self.ground.begin)
        if found:
            self.checks.expect_again(run)
        return found is not None

    async def work(self, partition: int, most: int, starts: int) -> None:
        """One step of the partition's worker; nothing where it is frozen."""
        worker = self.workers[partition]
        await self._step(worker, lambda: worker.work(most, starts))

    async def give_back(self, partition: int) -> None:
        worker = self.workers[partition]
        await self._step(worker, worker.give_back)

    async def leave(self, partition: int) -> None:
        """The worker stops in order, another comes."""
        worker = self.workers[partition]
        if worker.process.stalled_at is None:
            await self._step(worker, worker.leave)
            if self.workers[partition] is worker and worker.process.stalled_at is None:
                self.workers[partition] = self._new_worker(partition)

    async def renew(self, partition: int) -> None:
        """The leases of what the worker holds; nothing where it is frozen."""
        worker = self.workers[partition]
        if worker.process.stalled_at is None:
            await worker.renew()

    async def kill(self, partition: int) -> None:
        await self.workers[partition].process.kill()
        self.workers[partition] = self._new_worker(partition)

    def supersede(self, partition: int) -> None:
        """The broker takes a frozen worker for dead and gives its partition to another."""
        if self.workers[partition].process.stalled_at is not None:
            self.superseded.append(self.workers[partition])
            self.workers[partition] = self._new_worker(partition)

    async def resume_all(self) -> None:
        """Whatever is frozen goes on, the oldest first; what is another's by now does so for the last time."""
        for process in [*self.frozen, *(worker.process for worker in self.workers)]:
            if process.stalled_at is not None:
                await process.resume()
        self._bury()
        waiting, self.superseded = self.superseded, []
        for worker in waiting:
            await worker.process.resume()
            if not worker.process.dead and worker.process.stalled_at is None:
                await worker.process.take_step(worker.lose_partitions())
            if not worker.process.dead and worker.process.stalled_at is not None:
                self.superseded.append(worker)
        self.frozen = [process for process in self.frozen if process.stalled_at is not None]

    def is_anyone_frozen(self) -> bool:
        """Whether there is a process that could go on."""
        frozen = [*self.frozen, *(worker.process for worker in [*self.workers, *self.superseded])]
        return any(process.stalled_at for process in frozen)

    async def relay(self) -> None:
        """One round of a relay that leads."""
        process = self._process("relay")
        lead = Lead(WatchedLeadConnection.of(self.ground.relaying, process), self.clock.monotonic)
        producer = ModelProducer.of(self.broker, process, Point.RELAY_BEFORE_SEND, Point.RELAY_SENT)
        relay = Relay(self.ground.settings, self.ground.metrics, Health().progress("relay"))
        await self._round(process, relay._publish_due(lead, producer))

    async def tick(self) -> None:
        """One round of a timer."""
        process = self._process("timer")
        engine, progress = WatchedEngine.of(self.ground.engine, process), Health().progress("timer")
        timer = Timer(engine, TASKS, self.ground.settings.schedules, self.ground.metrics, progress)
        await self._round(process, timer.round())

    async def sweep(self) -> None:
        """One sweep."""
        process = self._process("sweeper")
        engine = WatchedEngine.of(self.ground.engine, process)
        sweeper = Sweeper(engine, self.ground.settings, self.ground.metrics, self.clock.monotonic)
        await self._round(process, sweeper.sweep())

    async def advance(self, by: timedelta) -> None:
        """Time passes, for the database and for every process."""
        self.clock.instant += by
        await self.ground.observing.execute("UPDATE fake_clock.instant SET at = at + $1", by)

    async def check(self) -> None:
        """What holds at any time."""
        for worker in self.workers:
            assert worker.watermark.balance() == 0
        await self.checks.at_any_time()

    async def come_to_rest(self, wake: bool = True) -> None:
        """Nobody is lost any more, and time passes until there is nothing left to do. ``wake``: what is frozen takes
        part, else it sleeps on.
        """
        self.fates.clear()
        for _ in range(100):
            if wake:
                await self.resume_all()
            await self.tick()
            await self.relay()
            for _step in range(PARTITIONS * 3):
                for worker in [worker for worker in self.workers if worker.has_work()]:
                    await self.work(worker.partition, 50, 50)
            if await self.checks.is_quiet():
                return await self.checks.at_the_end()
            await self.advance(timedelta(minutes=5))
            await self.sweep()
        raise AssertionError(f"no rest in {self.clock.instant - self.ground.begin}: {await self.checks.what_is_open()}")

    async def end(self) -> None:
        """No task is left of it."""
        for process in [*self.frozen, *(worker.process for worker in [*self.workers, *self.superseded])]:
            await process.kill()

    async def _step(self, worker: Worker, step: Callable[[], Awaitable[None]]) -> None:
        if worker.process.stalled_at is None:
            await worker.process.take_step(step())  # type: ignore[arg-type]
        self._bury()

    def _bury(self) -> None:
        """Where a worker has died another gets its partition."""
        for partition, worker in enumerate(self.workers):
            if worker.process.dead:
                self.workers[partition] = self._new_worker(partition)

    async def _round(self, process: Process, work: Any) -> None:
        await process.take_step(work)
        if process.stalled_at is not None:
            self.frozen.append(process)

    def _new_worker(self, partition: int) -> Worker:
        process = self._process("worker")
        self.broker.assign(partition, process)
        return Worker(self.around, process, partition)

    def _process(self, kind: str) -> Process:
        self._names += 1
        return Process(f"{kind}-{self._names}", self.fates)

    def _command(self, task: str, number: int) -> Command:
        cause = Identity("/test", "crash", str(number))
        args = {"number": number}
        return Command(id=command_id(cause, task), task=task, args=args, caused_at=self.ground.begin, cause=cause)

    def _now_ms(self) -> int:
        return int(self.clock.now().timestamp() * 1000)
