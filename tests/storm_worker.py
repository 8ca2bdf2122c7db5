"""A worker process whose tasks leave a row for each effect: ``python -m tests.storm_worker``.

No constraint holds a second row of one command back, so that a doubled effect is seen.
"""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import msgspec
import uvloop
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import UserCreated
from streams.log import configure_logging
from streams.settings import Settings
from streams.starting import CannotStart
from streams.task import Context, Dead, Done, Effect, Outcome, RetryPolicy, task
from streams.worker import WorkerFailed, run_worker
from tests.workers import tell_nothing

SOON = RetryPolicy(max_attempts=100, first=timedelta(milliseconds=500), factor=1)
FOR_EVER = timedelta(minutes=20)

MARK = "effect of "
"""By this the bytes of a transaction are known in which an effect is left."""

# One row for each effect that was committed, and by whom.
LEAVE_EFFECT = text("INSERT INTO effects (number, worker) VALUES (:number, :worker)")

# One row for each time that a task came to its end, whether or not its effect was then committed.
NOTE_TRY = text("INSERT INTO tries (number, worker) VALUES (:number, :worker)")


class Work(msgspec.Struct):
    """The number of a command, and how long it takes."""

    number: int
    seconds: float


def work_of(fact: UserCreated) -> Work:
    """The storms' users are named for the seconds that each of them takes."""
    return Work(int(fact.user_id), float(fact.username))


@task(queue="users", on=UserCreated, args=work_of, retry=SOON)
async def leave_effect(args: Work, ctx: Context) -> Outcome:
    """Takes its time, then leaves one row."""
    await _pass(args.seconds)
    return Done(effect=_effect(args, ctx))


@task(queue="users", retry=SOON)
async def note_and_leave_effect(args: Work, ctx: Context) -> Outcome:
    """As ``leave_effect``, and says at its end that it has come so far."""
    await _pass(args.seconds)
    async with ctx.engine.begin() as connection:
        await connection.execute(NOTE_TRY, {"number": args.number, "worker": ctx.claim.worker})
    return Done(effect=_effect(args, ctx))


@task(queue="users", timeout=FOR_EVER)
async def outlive_one_worker(args: Work, ctx: Context) -> Outcome:
    """Takes its time with the first worker that runs it, and none with the next."""
    if not ctx.claim.takeovers:
        await _pass(args.seconds)
    return Done(effect=_effect(args, ctx))


@task(queue="users")
async def give_up(args: Work, ctx: Context) -> Outcome:
    """Is dead at once."""
    return Dead("it can never work")


TASKS = (leave_effect, note_and_leave_effect, outlive_one_worker, give_up)


def _effect(args: Work, ctx: Context) -> Effect:
    async def leave(connection: AsyncConnection) -> Mapping[str, Any]:
        await connection.execute(LEAVE_EFFECT, {"number": args.number, "worker": MARK + ctx.claim.worker})
        return {"rows": 1}

    return leave


async def _pass(seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()


def main() -> None:
    """The worker, with the settings of the environment."""
    settings = Settings.load()
    configure_logging(settings.log)
    try:
        with patch("streams.worker.tell_formats", tell_nothing):
            uvloop.run(run_worker(settings, TASKS))
    except (CannotStart, WorkerFailed) as error:
        sys.exit(f"storm worker: {error}")


if __name__ == "__main__":
    main()
