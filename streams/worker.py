"""The whole ``tailrace worker`` process: start, run until told to stop, stop within a deadline."""

import asyncio
import os
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from streams import sweeper
from streams.app import Parts, worker_parts
from streams.db import engine_for, until_available
from streams.kafka_client import wait_for_broker
from streams.ledger_months import drop_old_months
from streams.media.formats import tell_formats
from streams.outbox_gauges import measure_outbox
from streams.periodic import every
from streams.schedules.defaults import ensure_defaults
from streams.settings import Settings
from streams.starting import require_rights, require_schema, require_topics, stopped_by_signals
from streams.task import Task
from streams.trending.archive import archive
from streams.trending.store import TrendingStore
from streams.trimming import trim
from streams.web.health_routes import add_health_routes, start_site
from streams.web.middleware import new_application

LAST_RESORT = timedelta(seconds=5)

TAKE_NEW = ("router", "dispatcher")
"""Parts that take new work; they end first."""

log = structlog.get_logger(__name__)


class WorkerFailed(Exception):
    """A part has given up; whoever supervises the process starts a new one."""


async def run_worker(settings: Settings, tasks: Sequence[Task]) -> None:
    """Work on ``tasks`` until SIGTERM or SIGINT. Raises ``CannotStart`` if it cannot begin, ``WorkerFailed`` if it
    cannot go on.
    """
    with stopped_by_signals() as stopped:
        engine = engine_for(settings.database)
        try:
            await require_schema(engine, settings.database)
            await require_rights(engine, settings)
        finally:
            await engine.dispose()
        if not await _is_there(wait_for_broker(settings.kafka), stopped):
            return
        await require_topics(settings)
        async with worker_parts(settings, tasks) as parts:
            await _serve_health(stopped, parts)
    log.info("worker stopped")


async def _serve_health(stopped: asyncio.Event, parts: Parts) -> None:
    app = new_application(parts.metrics)
    add_health_routes(app, parts.health, parts.metrics)
    http, port = parts.settings.http, parts.settings.worker.port
    runner, port = await start_site(app, http.host, port, setting="TAILRACE_WORKER")
    log.info("worker starts", worker=parts.ledger.worker, health=f"http://{http.host}:{port}/readyz")
    try:
        await work_until(stopped, parts)
    finally:
        deadline = LAST_RESORT + 2 * parts.settings.worker.stop_deadline
        asyncio.get_running_loop().call_later(deadline.total_seconds(), _end_in_any_case, deadline)
        await runner.cleanup()


async def work_until(stopped: asyncio.Event, parts: Parts) -> None:
    """Run every part; the first that ends by itself ends the worker."""
    if not await _is_there(_prepare(parts), stopped):
        return
    running = [asyncio.create_task(part, name=name) for name, part in _parts(parts).items()]
    stopping = asyncio.create_task(stopped.wait(), name="stop")
    crashed = asyncio.create_task(parts.shell.crashed(), name="faust")
    try:
        await _is_there(parts.shell.start(), stopped)
        ended, _ = await asyncio.wait([stopping, crashed, *running], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        crashed.cancel()
        await _stop(parts, running)
    for task in ended - {stopping}:
        raise WorkerFailed(f"{task.get_name()} has given up: {task.exception() or task.result()}")


async def _prepare(parts: Parts) -> None:
    """What must be known and there before the first command is taken."""
    await until_available(parts.queue_states.refresh, "read which queues are paused")
    await until_available(lambda: ensure_defaults(parts.engine, parts.tasks), "add the schedules that come with us")


async def _is_there(awaited: Coroutine[Any, Any, None], stopped: asyncio.Event) -> bool:
    """Wait for it, unless we are told to stop first."""
    waiting, stopping = asyncio.create_task(awaited), asyncio.create_task(stopped.wait())
    await asyncio.wait([waiting, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if waiting.done():
        waiting.result()
        return True
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return False


async def _stop(parts: Parts, running: list[asyncio.Task[Any]]) -> None:
    """Take nothing new, let runs end, commit, leave the group."""
    deadline = parts.settings.worker.stop_deadline
    for task in running:
        if task.get_name() in TAKE_NEW:
            task.cancel()
    await parts.dispatcher.finish(deadline)
    await parts.desk.close()
    await _leave_group(parts, deadline)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await parts.stall_watch.close()


async def _leave_group(parts: Parts, within: timedelta) -> None:
    """Commit and leave. Not under a timeout's cancellation: Faust's own stop goes on after that, however long."""
    leaving = asyncio.create_task(parts.shell.stop(), name="leave the group")
    await asyncio.wait([leaving], timeout=within.total_seconds())
    error = leaving.exception() if leaving.done() else TimeoutError("Faust did not stop in time")
    if error:
        log.warning("not committed: what was done is delivered again, and known to be done", error=repr(error))


def _end_in_any_case(deadline: timedelta) -> None:
    """The last resort, as safe as a kill: a library that never stops must not keep the process."""
    log.warning("did not stop in time: ending at once", deadline=str(deadline))
    os._exit(1)


def _parts(parts: Parts) -> dict[str, Coroutine[Any, Any, object]]:
    """Everything that runs for ever, by name."""
    store = TrendingStore(parts.engine)
    trending = parts.settings.trending

    async def keep_counts_small() -> None:
        await archive(parts.engine, await store.live_generation(), trending.archive_after, trending.block)

    async def turn_months() -> None:
        await drop_old_months(parts.engine, parts.settings.ledger.keep)
        await parts.ledger.make_room()

    async def watch() -> None:
        await parts.stall_watch.check()
        parts.watermark.balance()

    return {
        "router": parts.router.run(),
        "database": parts.database_probe.run(),
        "relay": parts.relay.run(),
        "counter": parts.counter.run(),
        "replays": parts.replayer.run(),
        "the consumer": _give_up_when_stalled(parts),
        "leases": every(parts.settings.worker.lease / 3, "renew leases", parts.pipeline.renew_leases),
        "months": every(timedelta(hours=1), "turn the ledger's months", turn_months),
        "schedules": parts.timer.run(),
        "sweeper": every(sweeper.INTERVAL, "sweep", parts.sweeper.sweep),
        "trimming": every(timedelta(minutes=1), "trim the queues", partial(trim, parts.settings, parts.metrics)),
        "watch": every(timedelta(seconds=3), "watch for stalls", watch),
        "archive": every(timedelta(minutes=1), "archive counts", keep_counts_small),
        "outbox": every(
            timedelta(seconds=5), "measure the outbox", partial(measure_outbox, parts.engine, parts.metrics)
        ),
        "queue states": every(timedelta(seconds=0.5), "read which queues are paused", parts.queue_states.refresh),
        "dispatcher": parts.dispatcher.run(),
        "media formats": tell_formats(parts.metrics),
    }


async def _give_up_when_stalled(parts: Parts) -> str | None:
    """Ends, with the reason, when a partition has stood still for so long that only a new consumer helps."""
    await parts.stall_watch.gave_up.wait()
    return parts.stall_watch.problem()
