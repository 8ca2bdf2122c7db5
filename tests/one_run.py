"""One run of a task as the worker has it, without a broker: claimed, performed and recorded by the real ledger
and recorder.
"""

import random
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backend import BackendTables, backend_tables
from schemas.commands import Command, command_id
from schemas.envelope import Identity
from schemas.topics import QUEUE_BY_NAME
from streams.claims import Claim
from streams.clock import Clock
from streams.dead_letters import DeadLetters
from streams.devstack.processes import free_port
from streams.devstack.smtp_sink import SmtpSink
from streams.kafka_client import RenewedProducer
from streams.ledger import Ledger
from streams.mail.mailer import Mailer
from streams.mail.smtp import MailServer
from streams.media.renderer import Renderer
from streams.media.storage import Storage, storage_of
from streams.outcome_batches import OutcomeBatches
from streams.recorder import Recorder
from streams.records import Delivery, Record
from streams.runs import Received, Run
from streams.settings import Settings
from streams.task import Context, Outcome, Task


@dataclass(frozen=True)
class Workshop:
    """What tasks need, on a database and a mail server of the test's own. ``producer`` is never used: what
    follows from a run goes through the outbox.
    """

    settings: Settings
    engine: AsyncEngine
    backend: BackendTables
    sink: SmtpSink
    server: MailServer
    renderer: Renderer
    storage: Storage
    ledger: Ledger
    producer: RenewedProducer
    now: Callable[[], datetime]

    def as_worker(self, name: str) -> "Workshop":
        """The same as another worker sees it."""
        return replace(self, ledger=Ledger(self.engine, name, self.ledger.lease))

    def with_leases_of(self, lease: timedelta) -> "Workshop":
        """Claims that end after ``lease``; others may then take them over."""
        return replace(self, ledger=Ledger(self.engine, self.ledger.worker, lease))

    async def add(self, table: sa.Table, **values: Any) -> None:
        """A row of the backend."""
        async with self.engine.begin() as connection:
            await connection.execute(table.insert().values(**values))

    async def add_user(self, user_id: int = 7, **values: Any) -> None:
        defaults = {"username": f"u{user_id}", "email": f"u{user_id}@example.org", "date_joined": self.now()}
        await self.add(self.backend.users, id=user_id, **{**defaults, **values})

    async def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        """Every row of one of our tables, by its key."""
        async with self.engine.connect() as connection:
            found = await connection.execute(table.select().order_by(*table.primary_key.columns))
            return [dict(row) for row in found.mappings()]

    async def claim(self, task: Task, args: object, *, cause: str = "1", attempt: int = 1) -> Run:
        """This worker's claim on the command; fails where it is not to be had."""
        received = _received(task, args, cause, attempt)
        (answer,) = await self.ledger.claim([received.order])
        assert isinstance(answer, Claim), answer
        return Run(received, answer, NOON)

    async def perform(self, run: Run) -> Outcome:
        """What the task says."""
        args = msgspec.convert(run.command.args, run.task.args_type)
        return await run.task.handler(args, self._context(run.command, run.claim))

    async def record(self, run: Run, outcome: Outcome) -> str:
        """Effect and record in one transaction, by the worker's own code: the state that it comes to."""
        letters = DeadLetters(self.settings.kafka, self.producer, Clock())
        recorder = Recorder(self.engine, self.ledger, letters, Clock(), random.Random(1), OutcomeBatches(self.ledger))
        return await recorder.record(run, outcome)

    async def run(self, task: Task, args: object, *, cause: str = "1", attempt: int = 1) -> Outcome:
        """All of it."""
        run = await self.claim(task, args, cause=cause, attempt=attempt)
        outcome = await self.perform(run)
        await self.record(run, outcome)
        return outcome

    def _context(self, command: Command, claim: Claim) -> Context:
        return Context(
            command=command,
            claim=claim,
            settings=self.settings,
            engine=self.engine,
            backend=self.backend,
            mailer=Mailer(self.settings, self.engine, self.ledger, self.server),
            renderer=self.renderer,
            storage=self.storage,
            now=self.now,
            log=structlog.get_logger(),
        )


NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
"""Some time in a month that the ledger has."""


def _received(task: Task, args: object, cause: str, attempt: int) -> Received:
    """The command of this task as it comes off its queue."""
    identity = Identity("/test", "test", cause)
    names = msgspec.json.decode(msgspec.json.encode(args))
    run_id = command_id(identity, task.name)
    command = Command(id=run_id, task=task.name, args=names, caused_at=NOON, cause=identity, attempt=attempt)
    topic, value = QUEUE_BY_NAME[task.queue].topic, msgspec.json.encode(command)
    record = Record(topic, 0, 0, None, value, [], int(NOON.timestamp() * 1000))
    return Received.of(Delivery(record, lambda: None), command, task)


@asynccontextmanager
async def workshop(settings: Settings, engine: AsyncEngine, folder: Path) -> AsyncIterator[Workshop]:
    """A workshop whose mail server and processes end with it."""
    sink = SmtpSink(folder / f"mail-{uuid.uuid4().hex[:6]}", free_port())
    await sink.start()
    smtp = settings.smtp.model_copy(update={"url": sink.url, "timeout": timedelta(seconds=5)})
    changed = settings.model_copy(update={"smtp": smtp})
    storage = storage_of(changed.media)
    renderer = Renderer(changed.media, storage)
    server = MailServer(changed.smtp)
    ledger, producer = Ledger(engine, "w1", timedelta(seconds=30)), RenewedProducer(settings.kafka)
    try:
        yield Workshop(
            changed, engine, backend_tables(), sink, server, renderer, storage, ledger, producer, lambda: NOON
        )
    finally:
        await server.close()
        await renderer.close()
        await sink.stop()
