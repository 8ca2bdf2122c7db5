"""A task with a fault that can be mended, what it leaves behind, and replays of its events."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.commands import Command, command_id
from schemas.envelope import DEFAULT_SOURCE, Identity
from schemas.events import Fact, Id, UserCreated
from streams.kafka_client import client_options
from streams.metrics import Metrics
from streams.publisher import AsyncPublisher
from streams.replay import store
from streams.replay.fates import SUBMITTED
from streams.replay.planning import Plan, plan_replay
from streams.replay.replayer import Replayer
from streams.replay.request import Request
from streams.replay.starting import start_replay
from streams.run_filter import OPEN
from streams.settings import Settings
from streams.task import Context, Done, Effect, Outcome, Skip, Task, task
from tests.events import states
from tests.forked import Call, forked
from tests.waiting import eventually

Facts = dict[str, Any]


class Profile(msgspec.Struct, frozen=True):
    """Arguments of the tasks below."""

    user_id: Id
    username: str


def profile(user: UserCreated) -> Profile:
    return Profile(user.user_id, user.username)


# A later run takes the place of an earlier one.
KEEP = text("""
    INSERT INTO profiles (user_id, name) VALUES (:user_id, :name)
    ON CONFLICT (user_id) DO UPDATE SET name = excluded.name
""")


async def make_profiles(engine: AsyncEngine) -> None:
    """The table that the tasks write."""
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE profiles (user_id text PRIMARY KEY, name text NOT NULL)"))


def keeping_profiles(name_of: Callable[[Profile], str]) -> Task:
    """A task that keeps a row and a file for each user; ``name_of`` is where its fault is, or is not."""

    @task(queue="users", on=UserCreated, args=profile, redo=True)
    async def keep_profile(args: Profile, ctx: Context) -> Outcome:
        if str(args.user_id).endswith("9"):
            return Skip("nothing to keep")
        name = name_of(args)
        await ctx.storage.put({f"profiles/{args.user_id}.txt": name.encode()})
        return Done({"name": name}, effect=_row(args, name))

    return keep_profile


def _row(args: Profile, name: str) -> Effect:
    async def effect(connection: AsyncConnection) -> None:
        await connection.execute(KEEP, {"user_id": str(args.user_id), "name": name})

    return effect


def right(args: Profile) -> str:
    return args.username.upper()


def faulty(args: Profile) -> str:
    """Wrong for the users of the odd half of the names."""
    return args.username if args.username.startswith("odd") else right(args)


def faulty_from(first: int) -> Callable[[Profile], str]:
    """As ``faulty``, for users from this number on: what came before them was right."""
    return lambda args: faulty(args) if int(args.user_id) >= first else right(args)


async def left_behind(engine: AsyncEngine, root: Path) -> tuple[list[tuple[str, str]], dict[str, bytes]]:
    """Every row and every file of the tasks."""
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT user_id, name FROM profiles ORDER BY user_id"))
        kept = [(row.user_id, row.name) for row in rows]
    return kept, {path.name: path.read_bytes() for path in (root / "profiles").glob("*.txt")}


async def publish(settings: Settings, facts: Sequence[Fact]) -> None:
    options, prefix = client_options(settings.kafka), settings.kafka.topic_prefix
    async with AsyncPublisher(**options, topic_prefix=prefix) as publisher:
        await publisher.publish(*facts)


def caused(user: UserCreated, task: str) -> Command:
    """The command as the router makes it of the fact."""
    identity = Identity(DEFAULT_SOURCE, "user.created", user.natural_id)
    args = {"user_id": user.user_id, "username": user.username}
    return Command(id=command_id(identity, task), task=task, args=args, caused_at=user.created_at, cause=identity)


async def plan(settings: Settings, engine: AsyncEngine, tasks: Sequence[Task], **asked: Any) -> Plan:
    return await plan_replay(settings, engine, tasks, request(**asked), datetime.now(UTC))


async def start(settings: Settings, engine: AsyncEngine, tasks: Sequence[Task], **asked: Any) -> int:
    number, _ = await start_replay(settings, engine, tasks, request(**asked), datetime.now(UTC), "a test")
    return number


def request(**asked: Any) -> Request:
    return Request(**{"topic": "user.created", **asked})


async def shown(engine: AsyncEngine, number: int) -> Facts:
    async with engine.connect() as connection:
        return await store.show_replay(connection, number)


async def ended(engine: AsyncEngine, number: int, within: float = 60) -> Facts:
    """The replay, when it and all of its runs have ended."""

    async def look() -> Facts | None:
        found = await shown(engine, number)
        has_ended = found["state"] not in ("running", "paused") and not any(found["runs"].get(s) for s in OPEN)
        return found if has_ended else None

    found = await eventually(look, within=within, what=f"replay {number} has ended")
    assert found is not None
    return found


async def read_through(engine: AsyncEngine, number: int, within: float = 60) -> Facts:
    """The replay, when it has been read to its end; its runs may still be open."""

    async def look() -> Facts | None:
        found = await shown(engine, number)
        return found if found["state"] == "done" else None

    found = await eventually(look, within=within, what=f"replay {number} has been read")
    assert found is not None
    return found


def passed(replay: Facts) -> int:
    """Commands that are counted as submitted."""
    of_tasks = replay["counts"].get("tasks", {}).values()
    return sum(fates.get(fate, 0) for fates in of_tasks for fate in SUBMITTED)


async def all_done(engine: AsyncEngine, count: int) -> bool:
    """Whether so many runs have ended well."""
    found = await states(engine)
    return found.get("done", 0) + found.get("skipped", 0) >= count


@asynccontextmanager
async def reading(settings: Settings, engine: AsyncEngine, tasks: Sequence[Task]) -> AsyncIterator[None]:
    """A reader of replays, without the rest of a worker: that nobody empties the outbox is no reason to read slowly."""
    limits = settings.replay.model_copy(update={"max_live_lag": timedelta(hours=1)})
    settings = settings.model_copy(update={"replay": limits})
    reader = Replayer(engine, settings, tasks, "a reader", Metrics(), asyncio.get_running_loop().time)
    task = asyncio.create_task(reader.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def reader_process(environment: Mapping[str, str], *arguments: str) -> AsyncIterator[None]:
    """A process that reads replays, killed at the end."""
    log = Path(environment["TAILRACE_MEDIA__ROOT"]).with_name("reader.log")
    call = Call("tests.replay_process", arguments, {**os.environ, **environment}, log, log)
    async with forked(call):
        yield
