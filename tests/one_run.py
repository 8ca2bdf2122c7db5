"""One run of a task as the pipeline has it, without Kafka: claim, perform, effect and record in one transaction."""

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
from streams.devstack.processes import free_port
from streams.devstack.smtp_sink import SmtpSink
from streams.ledger import Claim, Ending, Ledger, Order
from streams.mail.mailer import Mailer
from streams.media.renderer import Renderer
from streams.settings import Settings
from streams.task import Context, Done, Outcome, Skip, Task

STATES = {"Done": "done", "Skip": "skipped", "Retry": "parked", "Dead": "dead"}


@dataclass(frozen=True)
class Workshop:
    """What tasks need, on a database and a mail server of the test's own."""

    settings: Settings
    engine: AsyncEngine
    backend: BackendTables
    sink: SmtpSink
    renderer: Renderer
    ledger: Ledger
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

    async def claim(self, task: Task, args: object, *, cause: str = "1", attempt: int = 1) -> Claim:
        """This worker's claim on the command; fails where it is not to be had."""
        identity = Identity("/test", "test", cause)
        names = msgspec.to_builtins(args)
        run_id = command_id(identity, task.name)
        command = Command(id=run_id, task=task.name, args=names, caused_at=NOON, cause=identity, attempt=attempt)
        (answer,) = await self.ledger.claim([Order(command, task.queue, NOON)])
        assert isinstance(answer, Claim), answer
        return answer

    async def perform(self, task: Task, args: object, claim: Claim) -> Outcome:
        """What the task says, its arguments gone through JSON as on Kafka."""
        names = msgspec.json.decode(msgspec.json.encode(args))
        identity = Identity("/test", "test", "1")
        command = Command(
            id=claim.id, task=task.name, args=names, caused_at=NOON, cause=identity, attempt=claim.attempt
        )
        return await task.handler(msgspec.convert(names, task.args_type), self._context(command, claim))

    async def record(self, claim: Claim, outcome: Outcome) -> None:
        """Effect and record in one transaction."""
        async with self.engine.begin() as connection:
            if isinstance(outcome, Done | Skip) and outcome.effect:
                await outcome.effect(connection)
            await self.ledger.record(connection, claim, _ending(claim, outcome))

    async def run(self, task: Task, args: object, *, cause: str = "1", attempt: int = 1) -> Outcome:
        """All of it."""
        claim = await self.claim(task, args, cause=cause, attempt=attempt)
        outcome = await self.perform(task, args, claim)
        await self.record(claim, outcome)
        return outcome

    def _context(self, command: Command, claim: Claim) -> Context:
        return Context(
            command=command,
            claim=claim,
            settings=self.settings,
            engine=self.engine,
            backend=self.backend,
            mailer=Mailer(self.settings.smtp, self.engine, self.ledger),
            renderer=self.renderer,
            now=self.now,
            log=structlog.get_logger(),
        )


NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
"""Some time in a month that the ledger has."""


def _ending(claim: Claim, outcome: Outcome) -> Ending:
    state = STATES[type(outcome).__name__]
    if state == "parked":
        return Ending(state, next_attempt=claim.attempt + 1, scheduled_for=NOON)
    result = msgspec.to_builtins(outcome.result) if isinstance(outcome, Done) else {}
    return Ending(state, outcome=result)


@asynccontextmanager
async def workshop(settings: Settings, engine: AsyncEngine, folder: Path) -> AsyncIterator[Workshop]:
    """A workshop whose mail server and processes end with it."""
    sink = SmtpSink(folder / f"mail-{uuid.uuid4().hex[:6]}", free_port())
    await sink.start()
    smtp = settings.smtp.model_copy(update={"url": sink.url, "timeout": timedelta(seconds=5)})
    changed = settings.model_copy(update={"smtp": smtp})
    renderer = Renderer(changed.media)
    ledger = Ledger(engine, "w1", timedelta(seconds=30))
    try:
        yield Workshop(changed, engine, backend_tables(), sink, renderer, ledger, lambda: NOON)
    finally:
        await renderer.close()
        await sink.stop()
