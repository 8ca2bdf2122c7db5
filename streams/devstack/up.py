"""``tailrace up``: the stack, a worker, a server and a backend that lives, in one tree of processes."""

import asyncio
import importlib
import os
import signal
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from streams.devstack.display import Display
from streams.devstack.errors import DevStackError, trouble_with_the_disk
from streams.devstack.stack import Stack

if TYPE_CHECKING:
    from streams.devstack.session import Session

INTERRUPTED = 130


@dataclass(frozen=True)
class UpOptions:
    """What the command line says. ``port`` None prefers 8000; ``run_for`` None runs until stopped."""

    data: Path
    reset: bool = False
    traffic: bool = True
    worker: bool = True
    port: int | None = None
    run_for: timedelta | None = None


async def up(options: UpOptions) -> int:
    """Run until a signal or for the time that was given; the exit code. No process is left on return."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    display = Display()
    running = asyncio.create_task(_run(options, display))
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            display.started()
            display.line("stopping", "")
            running.cancel()
        return await running
    except asyncio.CancelledError:
        # Of a bounded run somebody wants to know whether it went well, and now nobody knows.
        return INTERRUPTED if options.run_for else 0
    except DevStackError as error:
        display.started()
        display.line("error", str(error))
        return 1
    except Exception as error:
        trouble = trouble_with_the_disk(error)
        if trouble is None:
            raise
        display.started()
        display.line("error", trouble)
        return 1
    finally:
        display.started()
        stopped.cancel()


async def _run(options: UpOptions, display: Display) -> int:
    stack = Stack(options.data, tell=display.step)
    if options.reset:
        stack.reset()
    # Two seconds of imports, in which Kafka can start already.
    loading = asyncio.create_task(asyncio.to_thread(importlib.import_module, "streams.devstack.session"))
    async with stack:
        session_class: type[Session] = (await loading).Session
        async with session_class(stack, display, options.port, dict(os.environ)) as session:
            await session.prepare(with_traffic=options.traffic)
            await session.start_children(with_worker=options.worker)
            if options.run_for is None:
                return await session.live()
            return await session.live_for(options.run_for)
