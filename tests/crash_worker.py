"""A worker that takes its work step by step: the real pipeline on a model of the broker."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backend import BackendTables
from schemas.commands import Command
from schemas.topics import QUEUE_BY_NAME
from streams.claims import Answer, Claim, Order
from streams.clock import Clock
from streams.dead_letter_desk import DeadLetterDesk
from streams.dead_letters import DeadLetters
from streams.ledger import Ledger
from streams.mail.mailer import Mailer
from streams.media.renderer import Renderer
from streams.media.storage import Storage
from streams.metrics import Metrics
from streams.outcome_batches import OutcomeBatches
from streams.pipeline import Pipeline
from streams.recorder import Recorder
from streams.records import Delivery, Record
from streams.runs import Run
from streams.settings import Settings
from streams.task import Context
from streams.watermark import Place, Watermark
from tests.broker_model import Broker, ModelProducer
from tests.crash_database import WatchedEngine
from tests.crash_points import Point
from tests.crash_process import Process
from tests.crash_tasks import QUEUE, RECORDED_TOGETHER, TASKS

TOPIC = QUEUE_BY_NAME[QUEUE].topic


@dataclass(frozen=True)
class Surroundings:
    """What all processes of one test share."""

    settings: Settings
    engine: AsyncEngine
    broker: Broker
    clock: Clock
    metrics: Metrics
    backend: BackendTables


class WatchedLedger(Ledger):
    """Says when the commands of a batch are decoded, and when they are answered."""

    def __init__(self, engine: AsyncEngine, process: Process, settings: Settings) -> None:
        super().__init__(engine, process.name, settings.worker.lease)
        self._process = process

    async def claim(self, orders: Sequence[Order]) -> list[Answer]:
        await self._process.reach(Point.DECODED)
        answers = await super().claim(orders)
        await self._process.reach(Point.ADMITTED)
        return answers


class WatchedWatermark(Watermark):
    """Says when a delivery comes to its end."""

    def __init__(self, process: Process, metrics: Metrics, clock: Clock) -> None:
        super().__init__(1000, metrics, lambda place: None, lambda place: None, clock)
        self._process = process

    def finish(self, delivery: Delivery, state: str) -> None:
        self._process.reach_at_once(Point.BEFORE_ACKNOWLEDGE)
        super().finish(delivery, state)
        self._process.reach_at_once(Point.ACKNOWLEDGED)


class Worker:
    """Owns one partition. What it has taken and not claimed waits, what it has claimed and not started is ready."""

    def __init__(self, around: Surroundings, process: Process, partition: int) -> None:
        self.process = process
        self.partition = partition
        self.waiting: list[Delivery] = []
        self.ready: list[Run] = []
        self._around = around
        self._position = around.broker.committed[TOPIC, partition]
        self._acknowledged: dict[Place, int] = {}
        engine = WatchedEngine.of(around.engine, process)
        ledger = WatchedLedger(engine, process, around.settings)
        self.watermark = WatchedWatermark(process, around.metrics, around.clock)
        producer = ModelProducer.of(around.broker, process, Point.LETTER_BEFORE_SEND, Point.LETTER_SENT)
        letters = DeadLetters(around.settings.kafka, producer, around.clock)
        desk = DeadLetterDesk(letters, self.watermark)
        rng = random.Random(process.name)
        recorder = Recorder(engine, ledger, letters, around.clock, rng, OutcomeBatches(ledger))
        context = partial(_context, around, engine)
        self.pipeline = Pipeline(
            TASKS, ledger, recorder, desk, self.watermark, context, around.metrics, around.clock, _nobody_is_told
        )

    async def work(self, most: int, starts: int) -> None:
        """Take and claim up to ``most`` records, start up to ``starts`` of what is ready, commit."""
        taken = [self._take(record) for record in self._fetch(most)]
        await self.process.reach(Point.TAKEN)
        self.waiting += taken
        batch, self.waiting = self.waiting, []
        if batch:
            self.ready += await self.pipeline.admit(batch)
        await self._letters()
        await self._start(starts)
        await self._commit()

    async def give_back(self) -> None:
        """Nothing of what is ready will be started here for now, as when its queue is paused."""
        runs, self.ready = self.ready, []
        self.waiting = [run.received.delivery for run in runs] + self.waiting
        await self.pipeline.give_back(runs)

    async def leave(self) -> None:
        """Stop in order."""
        await self.give_back()
        await self._commit()

    async def lose_partitions(self) -> None:
        """Hear, too late, that they are another's; what is ready is given back."""
        self.watermark.forget([(TOPIC, self.partition)])
        await self.give_back()

    async def renew(self) -> None:
        """What is claimed stays ours, be the run as long as it likes; a long one holds no offset back."""
        await self.pipeline.renew_leases()
        self._around.broker.commit(self.process, self._acknowledged)

    def has_work(self) -> bool:
        """Whether there is anything that it could take, claim or start, or has not committed."""
        place = TOPIC, self.partition
        end = len(self._around.broker.logs[place])
        return bool(self.ready or self.waiting) or self._around.broker.committed[place] < end

    def _fetch(self, most: int) -> list[Record]:
        records = self._around.broker.logs[TOPIC, self.partition][self._position : self._position + most]
        self._position += len(records)
        return records

    def _take(self, record: Record) -> Delivery:
        place = record.topic, record.partition
        return self.watermark.take(record, lambda: self._acknowledged.__setitem__(place, record.offset + 1))

    async def _letters(self) -> None:
        """The desk publishes beside the work; a step of ours has an end, so it waits for that."""
        if publishing := [task for task in self.process.tasks if task.get_name() == "dead letter"]:
            await asyncio.wait(publishing)

    async def _start(self, starts: int) -> None:
        """Those that are recorded together at once, the others one after the other: so a test goes as it went."""
        runs, self.ready = self.ready[:starts], self.ready[starts:]
        together = [run for run in runs if run.task.name in RECORDED_TOGETHER]
        await asyncio.gather(*(self.pipeline.run(run, _performed) for run in together))
        for run in runs:
            if run not in together:
                await self.pipeline.run(run, _performed)

    async def _commit(self) -> None:
        await self.process.reach(Point.BEFORE_OFFSET_COMMIT)
        self._around.broker.commit(self.process, self._acknowledged)
        await self.process.reach(Point.OFFSET_COMMITTED)


def _performed(run: Run) -> None:
    """Nothing here waits for a free place."""
    run.performed = True


def _context(around: Surroundings, engine: AsyncEngine, command: Command, claim: Claim) -> Context:
    """The tasks here use neither mailer nor renderer nor storage."""
    unused = cast(Mailer, None), cast(Renderer, None), cast(Storage, None)
    log = structlog.get_logger("agents")
    return Context(command, claim, around.settings, engine, around.backend, *unused, around.clock.now, log)


async def _nobody_is_told(_queue: str, _state: str) -> None:
    """Pauses after many dead runs are another test's."""
