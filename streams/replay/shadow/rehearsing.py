"""Run the tasks of a shadow replay, one after the other, on scratch schemas and files, and compare in the end."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.topics import QUEUE_BY_NAME
from streams.claims import Claim
from streams.clock import Clock
from streams.contexts import context_factory
from streams.db import autocommit
from streams.dead_letters import DeadLetters
from streams.kafka_client import RenewedProducer
from streams.ledger import Ledger
from streams.mail.mailer import Mailer
from streams.mail.smtp import MailServer
from streams.mail.template import Mail
from streams.media.renderer import Renderer
from streams.media.storage import storage_of
from streams.outcome_batches import OutcomeBatches
from streams.partition_spans import reading_client
from streams.performing import perform
from streams.pipeline import ContextFactory
from streams.recorder import Recorder
from streams.records import Delivery, Record
from streams.replay import store
from streams.replay.fates import Judge, Order
from streams.replay.planning import read_months
from streams.replay.reading import Reading
from streams.replay.request import Selection
from streams.replay.shadow.comparing import Report, compare
from streams.replay.shadow.engines import ledger_engine, task_engine
from streams.replay.shadow.scratch import Scratch, drop_scratch, make_scratch
from streams.replay.shadow.storage import ShadowStorage
from streams.replay.store import Replay
from streams.runs import Received, Run
from streams.settings import Settings
from streams.task import Dead, Outcome

AT_ONCE = 20
"""Records between two steps of the position."""

LONGEST_REST = 1.0

RUN_AGAIN = frozenset({"missing", "again", "done"})
"""What is rehearsed: whatever is not waiting, running or dead just now, and sends no mail."""

log = structlog.get_logger(__name__)


class NoMailer(Mailer):
    """A shadow sends nothing, whatever a task makes of it."""

    async def send(self, mail: Mail, claim: Claim, now: datetime) -> Outcome:
        """Refuses."""
        return Dead(f"a shadow replay sends no mail, not {mail.template.name} either: declare the task sends_mail")


@dataclass(frozen=True)
class Stage:
    """What the runs of a shadow need."""

    ledger: Ledger
    recorder: Recorder
    context: ContextFactory


class Rehearsal:
    """One shadow replay in the hands of one worker."""

    def __init__(
        self,
        engine: AsyncEngine,
        settings: Settings,
        replay: Replay,
        selection: Selection,
        monotonic: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._replay = replay
        self._selection = selection
        self._monotonic = monotonic
        self._scratch = Scratch(replay.id)
        live = storage_of(settings.media)
        self._live, self._storage = live, ShadowStorage(live, self._scratch)

    async def run(self) -> Report:
        """To the end; the differences. Raises ``LostReplay``, and what broker and database raise."""
        tables = self._replay.request.tables
        await make_scratch(self._engine, self._settings, self._scratch, tables)
        async with self._stage() as stage, reading_client(self._settings.kafka) as consumer:
            async with autocommit(self._engine) as connection:
                judge = Judge(self._selection, await read_months(connection), 0)
            reading = Reading(self._settings.kafka, consumer, self._replay.request.topic)
            async for chunk in reading.chunks(self._replay.left, AT_ONCE):
                async with autocommit(self._engine) as connection:
                    judged = await judge.judge(connection, chunk.records)
                await self._rehearse(stage, [order for order in judged.orders if _is_rehearsed(order)])
                self._replay.gaps += chunk.gaps
                self._replay.counts.add(judged.count(0, len(chunk.records)))
                self._replay.positions[chunk.partition] = chunk.next_offset
                await self._advance()
        await self._advance()
        bound = self._settings.media.max_bytes
        report = await compare(self._engine, self._scratch, tables, self._live, self._storage, bound)
        await clean_up(self._engine, self._settings, self._scratch)
        return report

    async def _advance(self) -> None:
        async with self._engine.begin() as connection:
            await store.advance(connection, self._replay, self._settings.worker.lease)

    async def _rehearse(self, stage: Stage, orders: Sequence[Order]) -> None:
        """Each by itself; live work has as much time as it."""
        for order in orders:
            began = self._monotonic()
            received = _received(order)
            (answer,) = await stage.ledger.claim([received.order])
            if isinstance(answer, Claim):
                run = Run(received, answer, order.caused_at)
                await stage.recorder.record(run, await perform(run, stage.context(run.command, run.claim)))
                await self._advance()  # a run may be long: the replay stays this worker's
            await asyncio.sleep(min(LONGEST_REST, self._monotonic() - began))

    @asynccontextmanager
    async def _stage(self) -> AsyncIterator[Stage]:
        database = self._settings.database
        backend = self._settings.backend.model_copy(update={"db_schema": self._scratch.other})
        settings = self._settings.model_copy(update={"backend": backend})
        work, upkeep = task_engine(database, self._scratch), ledger_engine(database, self._scratch)
        clock, producer = Clock(), RenewedProducer(settings.kafka)  # the producer is never used
        ledger = Ledger(upkeep, f"shadow-{uuid.uuid4().hex[:12]}", settings.worker.lease)
        letters = DeadLetters(settings.kafka, producer, clock)
        recorder = Recorder(work, ledger, letters, clock, random.SystemRandom(), OutcomeBatches(ledger))
        renderer = Renderer(settings.media, self._storage)
        factory = context_factory(
            settings, work, NoMailer(settings, work, ledger, MailServer(settings.smtp)), renderer, clock
        )
        try:
            yield Stage(
                ledger, recorder, lambda command, claim: replace(factory(command, claim), storage=self._storage)
            )
        finally:
            await renderer.close()
            await work.dispose()
            await upkeep.dispose()


async def clean_up(engine: AsyncEngine, settings: Settings, scratch: Scratch) -> None:
    """Nothing of a shadow is left."""
    await ShadowStorage(storage_of(settings.media), scratch).remove_all()
    await drop_scratch(engine, scratch)


def _is_rehearsed(order: Order) -> bool:
    return order.fate in RUN_AGAIN and not order.task.sends_mail


def _received(order: Order) -> Received:
    """The command as it would come off its queue."""
    command = order.command(0)
    record = Record(
        topic=QUEUE_BY_NAME[order.task.queue].topic,
        partition=order.record.partition,
        offset=order.record.offset,
        key=order.record.key,
        value=msgspec.json.encode(command),
        headers=[],
        timestamp=order.record.timestamp,
    )
    return Received.of(Delivery(record, lambda: None), command, order.task)
