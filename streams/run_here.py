"""Run a task once in this process, as a worker would: claimed and recorded in the ledger, its lease renewed."""

import asyncio
import os
import random
import socket
import uuid
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.commands import Command, command_id
from schemas.envelope import Identity
from schemas.topics import QUEUE_BY_NAME
from streams.claims import Claim, Ending, LostClaim
from streams.clock import Clock
from streams.contexts import context_factory
from streams.dead_letters import DeadLetters
from streams.kafka_client import RenewedProducer
from streams.ledger import Ledger
from streams.mail.mailer import Mailer
from streams.mail.smtp import MailServer
from streams.media.renderer import Renderer
from streams.media.storage import storage_of
from streams.outcome_batches import OutcomeBatches
from streams.performing import perform
from streams.periodic import every
from streams.pipeline import ContextFactory
from streams.recorder import Recorder
from streams.records import Delivery, Record
from streams.run_ids import RunId
from streams.runs import Received, Run
from streams.runs_listing import Facts, show_run
from streams.settings import Settings
from streams.starting import stopped_by_signals
from streams.submission import command_headers
from streams.task import Task

T = TypeVar("T")

NOWHERE = -1
"""Partition and offset of a command that was on no topic."""


class NotNow(Exception):
    """As many runs as may go on at once for its concurrency key do."""


@dataclass(frozen=True)
class Bench:
    """What one run needs."""

    engine: AsyncEngine
    ledger: Ledger
    recorder: Recorder
    context: ContextFactory


async def run_here(settings: Settings, engine: AsyncEngine, task: Task, args: Mapping[str, Any]) -> Facts:
    """The run as the ledger has it in the end. Stopped by a signal it is cancelled. Raises ``NotNow``."""
    with stopped_by_signals() as stopped:
        async with _bench(settings, engine) as bench:
            run = await _claim(bench, _received(task, args))
            async with _lease(bench, run.claim):
                await _perform_until(stopped, bench, run)
    return await show_run(engine, RunId(run.command.id, run.command.caused_at))


@asynccontextmanager
async def _bench(settings: Settings, engine: AsyncEngine) -> AsyncIterator[Bench]:
    """The producer is never used: what follows from a run goes through the outbox."""
    clock, producer = Clock(), RenewedProducer(settings.kafka)
    renderer, mail_server = Renderer(settings.media, storage_of(settings.media)), MailServer(settings.smtp)
    ledger = Ledger(engine, f"cli-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}", settings.worker.lease)
    letters = DeadLetters(settings.kafka, producer, clock)
    recorder = Recorder(engine, ledger, letters, clock, random.SystemRandom(), OutcomeBatches(ledger))
    context = context_factory(settings, engine, Mailer(settings, engine, ledger, mail_server), renderer, clock)
    try:
        await ledger.make_room()
        yield Bench(engine, ledger, recorder, context)
    finally:
        await mail_server.close()
        await renderer.close()


def _received(task: Task, args: Mapping[str, Any]) -> Received:
    """The command as if it had come off its queue just now."""
    now, cause = Clock().now(), Identity("/cli", "run", str(uuid.uuid4()))
    run_id = command_id(cause, task.name)
    command = Command(id=run_id, task=task.name, args=dict(args), caused_at=now, cause=cause)
    record = Record(
        topic=QUEUE_BY_NAME[task.queue].topic,
        partition=NOWHERE,
        offset=NOWHERE,
        key=None,
        value=msgspec.json.encode(command),
        headers=command_headers(task.name),
        timestamp=int(now.timestamp() * 1000),
    )
    return Received.of(Delivery(record, lambda: None), command, task)


async def _claim(bench: Bench, received: Received) -> Run:
    (answer,) = await bench.ledger.claim([received.order])
    if not isinstance(answer, Claim):
        raise NotNow(
            f"as many runs of {received.task.name} as may go on at once for {received.order.concurrency_key!r} do; "
            "wait for one of them, or let it wait on its queue with `tailrace enqueue`"
        )
    return Run(received, answer, received.command.caused_at)


@asynccontextmanager
async def _lease(bench: Bench, claim: Claim) -> AsyncIterator[None]:
    """No worker takes it over while this process is well."""
    renewing = asyncio.create_task(
        every(bench.ledger.lease / 3, "renew the lease", lambda: bench.ledger.renew([claim]))
    )
    try:
        yield
    finally:
        renewing.cancel()


async def _perform_until(stopped: asyncio.Event, bench: Bench, run: Run) -> None:
    """Perform and record. What is stopped while it is performed is cancelled, whatever it makes of being stopped."""
    try:
        outcome = await _unless(stopped, perform(run, bench.context(run.command, run.claim)))
        if outcome is None:
            await _cancel(bench, run.claim)
        else:
            await _unless(stopped, bench.recorder.record(run, outcome))
    except LostClaim:
        return  # a worker has taken it over, and the ledger tells what became of it


async def _unless(stopped: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What the work returns; None where it was stopped before it had ended."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stopped.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        return working.result()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    return None


async def _cancel(bench: Bench, claim: Claim) -> None:
    async with bench.engine.begin() as connection:
        await bench.ledger.record(connection, claim, Ending("cancelled", error="stopped while it ran by hand"))
