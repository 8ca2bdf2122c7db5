"""Tasks whose processes are lost while they run, one for each way in which a run can end."""

from datetime import timedelta

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.task import Concurrency, Context, Dead, Done, Effect, Outcome, Retry, RetryPolicy, Skip, task
from tests.crash_database import EFFECT
from tests.crash_points import Point
from tests.crash_process import PROCESS

QUEUE = "default"
RETRIES = RetryPolicy(max_attempts=3, first=timedelta(seconds=60), jitter=0)


class Numbered(msgspec.Struct):
    """Arguments of all of them."""

    number: int


def effect_of(ctx: Context) -> Effect:
    """A row for this run."""

    async def write(connection: AsyncConnection) -> None:
        await connection.execute(EFFECT, {"run": ctx.command.id})

    return write


async def begin() -> None:
    await PROCESS.get().reach(Point.PERFORMING)


@task(queue=QUEUE)
async def leave_effect(args: Numbered, ctx: Context) -> Outcome:
    """A row that commits with the record."""
    await begin()
    return Done(effect=effect_of(ctx))


@task(queue=QUEUE, concurrency=Concurrency(lambda args: "the one key"))
async def one_at_a_time(args: Numbered, ctx: Context) -> Outcome:
    """The same, never two at once."""
    await begin()
    return Done(effect=effect_of(ctx))


@task(queue=QUEUE, retry=RETRIES)
async def try_again(args: Numbered, ctx: Context) -> Outcome:
    """The same, at the second attempt."""
    await begin()
    return Retry("not yet") if ctx.claim.attempt == 1 else Done(effect=effect_of(ctx))


@task(queue=QUEUE)
async def take_note(args: Numbered, ctx: Context) -> Outcome:
    """No row beside the ledger's, so it is recorded together with others."""
    await begin()
    return Done({"noted": args.number}) if args.number % 2 else Skip("even")


@task(queue=QUEUE)
async def give_up(args: Numbered, ctx: Context) -> Outcome:
    """A dead letter."""
    await begin()
    return Dead("never")


TASKS = {each.name: each for each in (leave_effect, one_at_a_time, try_again, take_note, give_up)}
RECORDED_TOGETHER = frozenset({"take_note"})
WITH_EFFECT = frozenset({"leave_effect", "one_at_a_time", "try_again"})
