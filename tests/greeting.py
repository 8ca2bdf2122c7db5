"""A task whose outcome its argument chooses, and the effects that it leaves."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.events import Id, UserCreated
from streams.task import Context, Dead, Done, Outcome, Retry, RetryPolicy, Skip, task
from tests.events import states

SOON = RetryPolicy(max_attempts=3, first=timedelta(milliseconds=50), jitter=0)


class Greeting(msgspec.Struct):
    """Arguments of the test's tasks."""

    user_id: Id


def greeting(fact: UserCreated) -> Greeting:
    return Greeting(fact.user_id)


async def write_effect(connection: AsyncConnection) -> Mapping[str, Any]:
    await connection.execute(text("INSERT INTO effects DEFAULT VALUES"))
    return {"rows": 1}


@task(queue="emails", on=UserCreated, args=greeting, retry=SOON, permanent=(PermissionError,))
async def greet_user(args: Greeting, ctx: Context) -> Outcome:
    """Ends in the way that the user's id says."""
    match args.user_id:
        case 1:
            return Skip("nobody to greet")
        case 2:
            return Dead("never")
        case 3:
            return Retry("not yet", after=timedelta(milliseconds=20))
        case 4:
            raise RuntimeError("boom")
        case 5:
            raise PermissionError("forbidden")
        case 50:
            return Dead("550 bo\udceete pleine \x00")
        case 6 if ctx.claim.attempt == 1:
            raise OSError("down for a moment")
    return Done({"greeted": args.user_id}, effect=write_effect)


async def make_effects_table(engine: AsyncEngine) -> None:
    """Where ``greet_user`` leaves a row each time that its effect commits."""
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE effects (id bigint GENERATED ALWAYS AS IDENTITY)"))


async def count_effects(engine: AsyncEngine) -> int:
    """How often an effect has committed."""
    async with engine.connect() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM effects"))).scalar_one())


async def ended(engine: AsyncEngine, wanted: int) -> bool:
    """Whether this many runs are in a final state."""
    found = await states(engine)
    return sum(found.get(state, 0) for state in ("done", "skipped", "dead")) == wanted
