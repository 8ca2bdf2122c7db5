"""Composition root of a worker: settings -> dependencies -> Faust. The only module that knows them all."""

import os
import random
import socket
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from agents import TASKS
from schemas.events import FACTS
from schemas.topics import QUEUE_BY_NAME, QUEUES
from streams.clock import Clock
from streams.contexts import context_factory
from streams.database_probe import DatabaseProbe
from streams.db import engine_for, upkeep_engine_for
from streams.dead_letter_desk import DeadLetterDesk
from streams.dead_letters import DeadLetters
from streams.dispatcher import Dispatcher
from streams.faust_shell import FaustShell, Put
from streams.health import Health
from streams.kafka_client import RenewedProducer
from streams.ledger import Ledger
from streams.mail.mailer import Mailer
from streams.mail.signature import WrongKey
from streams.mail.smtp import MailServer
from streams.mail.wording import WrongTemplate
from streams.media.renderer import Renderer
from streams.media.storage import storage_of
from streams.metrics import Metrics
from streams.outcome_batches import OutcomeBatches
from streams.pipeline import Pipeline
from streams.queue_states import DeadStreaks, QueueStates
from streams.recorder import Recorder
from streams.relay import Relay
from streams.replay.replayer import Replayer
from streams.retention_watch import retention_problem
from streams.router import Router
from streams.schedules.timer import Timer
from streams.settings import Settings
from streams.stall_watch import StallWatch
from streams.starting import CannotStart
from streams.sweeper import Sweeper
from streams.task import Task
from streams.trending.counter import Counter
from streams.trending.store import TrendingStore
from streams.watermark import Watermark

WAITING_PER_PROCESS = 2
"""Runs of the media queue at once for each process that renders: one at work, one ready."""


@dataclass(frozen=True)
class Parts:
    """What a worker is made of."""

    settings: Settings
    tasks: Sequence[Task]
    engine: AsyncEngine
    ledger: Ledger
    watermark: Watermark
    pipeline: Pipeline
    router: Router
    dispatcher: Dispatcher
    desk: DeadLetterDesk
    queue_states: QueueStates
    timer: Timer
    sweeper: Sweeper
    relay: Relay
    replayer: Replayer
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
        engine, upkeep = engine_for(settings.database), upkeep_engine_for(settings.database)
        closing.push_async_callback(engine.dispose)
        closing.push_async_callback(upkeep.dispose)
        commands = await closing.enter_async_context(RenewedProducer(settings.kafka))
        letters = await closing.enter_async_context(RenewedProducer(settings.kafka))
        renderer = Renderer(settings.media, storage_of(settings.media))
        closing.push_async_callback(renderer.close)
        mail_server = MailServer(settings.smtp)
        closing.push_async_callback(mail_server.close)
        data = settings.worker.data or Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="tailrace-")))
        data.mkdir(parents=True, exist_ok=True)
        yield _assemble(
            settings, tasks, Engines(engine, upkeep), Producers(commands, letters), Outside(renderer, mail_server), data
        )


@dataclass(frozen=True)
class Engines:
    """One for what tasks do, one for what keeps the worker going."""

    work: AsyncEngine
    upkeep: AsyncEngine


@dataclass(frozen=True)
class Producers:
    """One for each stream of records, so that what one topic refuses holds up no other."""

    commands: RenewedProducer
    dead_letters: RenewedProducer


@dataclass(frozen=True)
class Outside:
    """What does the work of tasks outside of this process."""

    renderer: Renderer
    mail_server: MailServer


def _assemble(
    settings: Settings,
    tasks: Sequence[Task],
    engines: Engines,
    producers: Producers,
    outside: Outside,
    data: Path,
) -> Parts:
    clock, metrics, health = Clock(), Metrics(), Health()
    engine, upkeep = engines.work, engines.upkeep
    ledger = Ledger(upkeep, settings.worker.name or _unique_name(), settings.worker.lease)
    shell = FaustShell(settings.kafka, data)
    watermark = Watermark(settings.worker.max_unacknowledged, metrics, shell.pause, shell.resume, clock)
    dead_letters = DeadLetters(settings.kafka, producers.dead_letters, clock)
    desk = DeadLetterDesk(dead_letters, watermark)
    recorder = Recorder(engine, ledger, dead_letters, clock, random.SystemRandom(), OutcomeBatches(ledger))
    context = context_factory(settings, engine, _mailer(settings, engine, ledger, outside), outside.renderer, clock)
    queue_states = QueueStates(upkeep, metrics)
    streaks = DeadStreaks(upkeep, queue_states, settings.worker.pause_after_dead)
    by_name = {task.name: task for task in tasks}
    pipeline = Pipeline(by_name, ledger, recorder, desk, watermark, context, metrics, clock, streaks.pause_if_needed)
    router = Router(settings.kafka, tasks, producers.commands, desk, watermark)
    limits = _limits(settings)
    dispatcher = _dispatcher(settings, pipeline, limits, queue_states, health)
    stall_watch = StallWatch(
        settings.kafka, watermark, shell.assignment, shell.position, lambda: queue_states.paused, clock
    )
    counter = Counter(settings, TrendingStore(engine), metrics, health.progress("trending counter"))
    timer = Timer(engine, by_name, settings.schedules, metrics, health.progress("schedules"))
    sweeper = Sweeper(upkeep, settings, metrics)
    relay = Relay(settings, metrics, health.progress("relay"))
    probe = DatabaseProbe(upkeep, settings.database)
    replayer = Replayer(engine, settings, tasks, ledger.worker, metrics, clock.monotonic)
    working = (ledger, watermark, pipeline, router, dispatcher, desk, queue_states, timer, sweeper)
    parts = Parts(
        settings, tasks, engine, *working, relay, replayer, counter, shell, stall_watch, probe, health, metrics
    )
    _register_checks(parts, clock)
    _connect(parts, limits)
    return parts


def _dispatcher(
    settings: Settings, pipeline: Pipeline, limits: Mapping[str, int], states: QueueStates, health: Health
) -> Dispatcher:
    priorities, total = {queue.name: queue.priority for queue in QUEUES}, settings.worker.concurrency
    return Dispatcher(pipeline, priorities, total, limits, lambda: states.paused, health.progress("dispatcher"))


def _mailer(settings: Settings, engine: AsyncEngine, ledger: Ledger, outside: Outside) -> Mailer:
    """Raises ``CannotStart`` for a template or a key that cannot be used: else each mail would find out."""
    try:
        return Mailer(settings, engine, ledger, outside.mail_server)
    except (WrongTemplate, WrongKey) as error:
        raise CannotStart(str(error)) from error


def _register_checks(parts: Parts, clock: Clock) -> None:
    """What makes ``/readyz`` red, beside the progress of relay, counter and timer."""
    for name, problem in (
        ("database", parts.database_probe.problem),
        ("consumer group", parts.shell.problem),
        ("consumer", parts.stall_watch.problem),
        ("retention", retention_problem(parts.watermark, clock)),
        ("queues", parts.queue_states.problem),
        ("trending sources", parts.counter.problem),
    ):
        parts.health.add(name, problem)


def _connect(parts: Parts, queues: Iterable[str]) -> None:
    """Facts go to the router, commands of the queues that are served to the dispatcher."""
    puts: dict[str, Put] = dict.fromkeys(FACTS, parts.router.put)
    puts |= {QUEUE_BY_NAME[queue].topic: partial(parts.dispatcher.put, queue) for queue in queues}
    parts.shell.connect(parts.watermark, puts, parts.dispatcher.partitions_lost)


def _limits(settings: Settings) -> dict[str, int]:
    """Runs at once of each queue that this worker serves. Waiting for a process that renders would only hold
    leases.
    """
    worker = settings.worker
    served = [name.strip() for name in worker.queues.split(",") if name.strip()] or [queue.name for queue in QUEUES]
    usual = {"media": WAITING_PER_PROCESS * settings.media.processes} | worker.queue_concurrency
    return {name: min(worker.concurrency, usual.get(name, worker.concurrency)) for name in served}


def _unique_name() -> str:
    """A name that no other worker has or had: a restarted one must not pass for its predecessor."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
