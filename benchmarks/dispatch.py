"""Dispatch: `python -m benchmarks.dispatch [--runs 3] [--only noop row wait memory] [--no-celery] [--out FILE]`.

Tailrace, with a row of its ledger for each command, beside Celery on Redis, which keeps none. Both have two worker
processes. For a backlog the workers are stopped (SIGSTOP) while it is published, and the clock runs from SIGCONT to
the last command's end. Measured are

- noop: a task that does nothing. Tailrace claims and records it in the ledger, in batches;
- row: a task that writes one row: Tailrace in the transaction that records the run, Celery in one of its own;
- wait: from publishing to the start of the task, at 200 commands a second;
- memory: of Tailrace's largest worker over a long backlog of noop.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

import uvloop
from sqlalchemy import text

from benchmarks.dispatch_celery import Celery, Redis, celery_environment
from benchmarks.dispatch_meter import Drained, Stopwatch, percentile, resident_mb, tree
from benchmarks.dispatch_notes import waits
from benchmarks.dispatch_report import Figures, summary, table
from benchmarks.dispatch_tailrace import Tailrace
from benchmarks.dispatch_tasks import ROWS
from streams.db import engine_for
from streams.devstack.stack import ANY_PORTS, Stack
from streams.migrations.run import migrate
from streams.settings import Settings
from streams.topics import create_topics

RATE = 200
WARM_UP = 500
SHORTEST_POLL, LONGEST_POLL = 0.02, 1.0
STALLED_AFTER = 60
SAMPLE = 0.5
TASKS = {"noop": "do_nothing", "row": "write_row"}
KINDS = (*TASKS, "wait", "memory")
COUNTS = {"tailrace": {"noop": 60_000, "row": 15_000}, "celery": {"noop": 15_000, "row": 10_000}}
"""Long enough for seconds of work each."""
BACKLOG = 100_000


class System(Protocol):
    """What can be measured."""

    @property
    def name(self) -> str: ...
    @property
    def servers(self) -> Mapping[str, int]: ...
    def running(self, notes: Path) -> AbstractAsyncContextManager[list[int]]: ...
    async def empty(self) -> None: ...
    async def backlog(self, task: str, count: int) -> None: ...
    async def left(self, task: str, count: int) -> int: ...
    async def trickle(self, task: str, count: int, rate: float) -> None: ...


async def until_done(system: System, task: str, count: int) -> None:
    """Look seldom while much is left, often towards the end: looking costs time too."""
    began = moved = time.perf_counter()
    before = count
    while left := await system.left(task, count):
        now = time.perf_counter()
        if left != before:
            before, moved = left, now
        if now - moved > STALLED_AFTER:
            raise RuntimeError(
                f"{system.name}: {left} of {count} are left and nothing has moved for {now - moved:.0f} s"
            )
        remaining = left * (now - began) / max(1, count - left)
        await asyncio.sleep(min(max(remaining / 2, SHORTEST_POLL), LONGEST_POLL))


@asynccontextmanager
async def ready(system: System, notes: Path, *tasks: str) -> AsyncIterator[list[int]]:
    """Workers that have run each of these tasks before, and know nothing of it any more."""
    await system.empty()
    async with system.running(notes) as pids:
        for task in tasks:
            await system.backlog(task, WARM_UP)
            await until_done(system, task, WARM_UP)
        await system.empty()
        yield pids


async def drain(system: System, pids: Sequence[int], task: str, count: int) -> Drained:
    """Stop the workers, publish, let them go."""
    processes = tree(pids)
    for process in processes:
        process.suspend()
    try:
        await system.backlog(task, count)
        watch = Stopwatch(pids, system.servers)
    finally:
        for process in processes:
            process.resume()
    await until_done(system, task, count)
    return watch.drained(count)


async def wait_times(system: System, folder: Path, seconds: int) -> dict[str, float]:
    """p50 and p99 from publishing to start, in ms."""
    with tempfile.TemporaryDirectory(dir=folder) as notes:
        async with ready(system, Path(notes), "do_nothing"):
            await system.trickle("measure_wait", RATE * seconds, RATE)
            while len(found := waits(Path(notes))) < RATE * seconds:
                await asyncio.sleep(LONGEST_POLL)
    return {"p50": percentile(found, 0.5) * 1e3, "p99": percentile(found, 0.99) * 1e3}


async def memory(system: System, folder: Path, count: int) -> dict[str, float]:
    """MB of the largest process before, at most during, and after a backlog."""
    async with ready(system, folder, "do_nothing") as pids:
        samples = [resident_mb(pids)]
        draining = asyncio.create_task(drain(system, pids, "do_nothing", count))
        while not draining.done():
            await asyncio.wait([draining], timeout=SAMPLE)
            samples.append(resident_mb(pids))
        rate = (await draining).rate
    return {"commands": count, "per_s": rate, "start_mb": samples[0], "max_mb": max(samples), "end_mb": samples[-1]}


async def measure(options: argparse.Namespace) -> Figures:
    """Everything that was asked for; the systems in turn."""
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="tailrace-dispatch-") as name:
        folder = Path(name)
        async with AsyncExitStack() as closing:
            systems = await start(closing, folder, options)
            for _ in range(options.runs):
                for system in systems:
                    await one_run(system, folder, options, figures)
            if "memory" in options.only:
                figures.memory = await memory(systems[0], folder, round(BACKLOG * options.scale))
    return figures


async def one_run(system: System, folder: Path, options: argparse.Namespace, figures: Figures) -> None:
    """The backlogs that were asked for, on the same workers, then the waits on fresh ones."""
    kinds = [kind for kind in TASKS if kind in options.only]
    if kinds:
        async with ready(system, folder, *(TASKS[kind] for kind in kinds)) as pids:
            for kind in kinds:
                count = round(COUNTS[system.name][kind] * options.scale)
                drained = await drain(system, pids, TASKS[kind], count)
                figures.add_drained(system.name, kind, drained)
                tell(f"{system.name} {kind}: {drained.rate:.0f} a second")
    if "wait" in options.only:
        waited = await wait_times(system, folder, options.seconds)
        figures.add_waits(system.name, waited)
        tell(f"{system.name} wait: p50 {waited['p50']:.1f} ms, p99 {waited['p99']:.1f} ms")


def tell(progress: str) -> None:
    """A line for whoever watches; the results come at the end."""
    sys.stderr.write(f"{progress}\n")


async def start(closing: AsyncExitStack, folder: Path, options: argparse.Namespace) -> list[System]:
    """The servers, with a schema and topics; Tailrace, and Celery unless it is left out."""
    if not options.no_celery:
        redis = await closing.enter_async_context(Redis(folder))
        celery_environment()
    stack = await closing.enter_async_context(Stack(folder / "stack", ports=ANY_PORTS))
    await migrate(stack.database_url)
    settings = Settings.load(stack.environment())
    await create_topics(settings)
    engine = engine_for(settings.database)
    closing.push_async_callback(engine.dispose)
    async with engine.begin() as connection:
        await connection.execute(text(ROWS))
    systems: list[System] = [Tailrace(stack, engine, folder, options.processes, options.log_level)]
    if not options.no_celery:
        systems.append(Celery(stack, engine, redis, folder, options.processes, options.log_level))
    return systems


def parsed() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--no-celery", action="store_true")
    parser.add_argument("--processes", type=int, default=2, help="worker processes of either side")
    parser.add_argument("--scale", type=float, default=1.0, help="0.1 for a quick look")
    parser.add_argument("--seconds", type=int, default=15, help="of the measurement of waits")
    parser.add_argument("--log-level", choices=("warning", "info"), default="warning")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def main() -> None:
    """Measure, print, and write where that is asked for."""
    options = parsed()
    figures = uvloop.run(measure(options))
    found = summary(figures, processes=options.processes, runs=options.runs, log_level=options.log_level)
    sys.stderr.write(table(found) + "\n")
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    if options.out:
        options.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
