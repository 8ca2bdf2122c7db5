"""Composition root of a worker: settings -> dependencies -> Faust. The only module that knows them all."""

import os
import random
import socket
import tempfile
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiokafka import AIOKafkaProducer
from sqlalchemy.ext.asyncio import AsyncEngine

from agents import TASKS
from schemas.backend import backend_tables
from schemas.commands import Command
from schemas.events import FACTS
from schemas.topics import QUEUES
from streams.clock import Clock
from streams.database_probe import DatabaseProbe
from streams.db import engine_for
from streams.dead_letters import DeadLetters
from streams.faust_shell import FaustShell
from streams.health import Health
from streams.kafka_client import producer_for
from streams.ledger import Claim, Ledger
from streams.mail.mailer import Mailer
from streams.media.renderer import Renderer
from streams.metrics import Metrics
from streams.pipeline import ContextFactory, Pipeline
from streams.queue_runner import QueueRunner
from streams.recorder import Recorder
from streams.relay import Relay
from streams.router import Router
from streams.settings import Settings
from streams.stall_watch import StallWatch
from streams.task import Context, Task
from streams.trending.counter import Counter
from streams.trending.store import TrendingStore
from streams.watermark import Watermark

WAITING_PER_PROCESS = 2
"""Runs of the media queue at once for each process that renders: one at work, one ready."""


@dataclass(frozen=True)
class Parts:
    """What a worker is made of."""

    settings: Settings
    engine: AsyncEngine
    ledger: Ledger
    watermark: Watermark
    pipeline: Pipeline
    router: Router
    runners: dict[str, QueueRunner]
    relay: Relay
    counter: Counter
    shell: FaustShell
    stall_watch: StallWatch
    database_probe: DatabaseProbe
    health: Health
    metrics: Metrics


@asynccontextmanager
async def worker_parts(settings: Settings, tasks: Sequence[Task] = TASKS) -> AsyncIterator[Parts]:
    """Build a worker that knows ``tasks`` and close, at the end, what it has opened."""
    async with AsyncExitStack() as closing:
        engine = engine_for(settings.database)
        closing.push_async_callback(engine.dispose)
        producer = producer_for(settings.kafka)
        await producer.start()
        closing.push_async_callback(producer.stop)
        renderer = Renderer(settings.media)
        closing.push_async_callback(renderer.close)
        data = settings.worker.data or Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="tailrace-")))
        data.mkdir(parents=True, exist_ok=True)
        yield _assemble(settings, tasks, engine, producer, renderer, data)


def _assemble(
    settings: Settings,
    tasks: Sequence[Task],
    engine: AsyncEngine,
    producer: AIOKafkaProducer,
    renderer: Renderer,
    data: Path,
) -> Parts:
    clock, metrics, health = Clock(), Metrics(), Health()
    ledger = Ledger(engine, settings.worker.name or _unique_name(), settings.worker.lease)
    shell = FaustShell(settings.kafka, data)
    watermark = Watermark(settings.worker.max_unacknowledged, metrics, shell.pause, shell.resume, clock)
    dead_letters = DeadLetters(settings.kafka, producer, clock)
    recorder = Recorder(engine, ledger, dead_letters, clock, random.SystemRandom())
    mailer = Mailer(settings.smtp, engine, ledger)
    context = _context_factory(settings, engine, mailer, renderer, clock)
    by_name = {task.name: task for task in tasks}
    pipeline = Pipeline(by_name, ledger, recorder, dead_letters, watermark, context, metrics, clock)
    router = Router(settings.kafka, tasks, producer, dead_letters, watermark)
    runners = {queue.topic: QueueRunner(queue.name, pipeline, _concurrency(settings, queue.name)) for queue in QUEUES}
    stall_watch = StallWatch(settings.kafka, watermark, shell.assignment, shell.position, clock)
    counter = Counter(settings, TrendingStore(engine), metrics, health.progress("trending counter"))
    relay = Relay(settings, metrics, health.progress("relay"))
    probe = DatabaseProbe(engine, settings.database)
    for name, problem in (
        ("database", probe.problem),
        ("consumer group", shell.problem),
        ("consumer", stall_watch.problem),
        ("trending sources", counter.problem),
    ):
        health.add(name, problem)
    shell.connect(watermark, dict.fromkeys(FACTS, router.put) | {topic: r.put for topic, r in runners.items()})
    working = (ledger, watermark, pipeline, router, runners, relay, counter)
    return Parts(settings, engine, *working, shell, stall_watch, probe, health, metrics)


def _concurrency(settings: Settings, queue: str) -> int:
    """Runs at once. Waiting for a process that renders would only hold leases."""
    if queue == "media":
        return min(settings.worker.concurrency, WAITING_PER_PROCESS * settings.media.processes)
    return settings.worker.concurrency


def _context_factory(
    settings: Settings, engine: AsyncEngine, mailer: Mailer, renderer: Renderer, clock: Clock
) -> ContextFactory:
    backend = backend_tables(settings.backend.db_schema, settings.backend.tables, settings.backend.columns)
    log = structlog.get_logger("agents")

    def context(command: Command, claim: Claim) -> Context:
        bound = log.bind(task=command.task, run=str(command.id), attempt=claim.attempt)
        return Context(command, claim, settings, engine, backend, mailer, renderer, clock.now, bound)

    return context


def _unique_name() -> str:
    """A name that no other worker has or had: a restarted one must not pass for its predecessor."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
