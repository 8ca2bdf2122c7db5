"""A shadow replay runs tasks beside what is live, changes nothing of it, and tells exactly what would be different."""

from contextlib import suppress

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.events import UserCreated
from streams.media.storage import storage_of
from streams.replay import store
from streams.settings import Settings
from streams.task import Context, Done, Outcome, task
from streams.topics import create_topics
from tests.events import runs, user_created
from tests.letters import rows
from tests.replays import (
    Profile,
    all_done,
    ended,
    faulty,
    keeping_profiles,
    left_behind,
    make_profiles,
    profile,
    publish,
    reading,
    right,
    shown,
    start,
)
from tests.waiting import eventually
from tests.workers import running_worker

SHORT, FULL = 60, 1250


@pytest.fixture
def count(full: bool) -> int:
    """Events of a test."""
    return FULL if full else SHORT


@pytest.fixture(autouse=True)
async def ground(settings: Settings, engine: AsyncEngine, count: int) -> None:
    await create_topics(settings)
    await make_profiles(engine)
    await publish(settings, [user_created(n, username=f"{'odd' if n % 2 else 'even'}{n}") for n in range(count)])


async def test_a_shadow_reports_exactly_what_is_wrong_and_leaves_everything_as_it_is(
    settings: Settings, engine: AsyncEngine, count: int
) -> None:
    wrong = count // 2 - count // 10  # every second, but for those with nothing to keep: 500 in the full size
    async with running_worker(settings, [keeping_profiles(faulty)]):
        await eventually(lambda: all_done(engine, count), within=120)
    before = sorted(map(tuple, await runs(engine))), await left_behind(engine, settings.media.root)
    mended = [keeping_profiles(right)]

    async with reading(settings, engine, mended):
        number = await start(settings, engine, mended, mode="shadow", tables=["profiles"])
        report = (await ended(engine, number, within=600))["report"]

    assert report["runs"] == {"done": count - count // 10, "skipped": count // 10}
    assert (report["outcomes"], list(report["rows"].values()), report["files"]) == (wrong, [wrong], wrong)
    examples = [example for example in report["examples"] if example["what"] == "row"]
    assert all(row["live"]["name"].upper() == row["shadow"]["name"] != row["live"]["name"] for row in examples)
    assert (sorted(map(tuple, await runs(engine))), await left_behind(engine, settings.media.root)) == before
    assert await schemas(engine) == []
    assert [found async for found in storage_of(settings.media).list("shadow")] == []
    assert await rows(engine, "outbox") == []


@task(queue="users", on=UserCreated, args=profile)
async def write_elsewhere(args: Profile, ctx: Context) -> Outcome:
    """Writes a table of somebody else's, in its effect and past it."""
    async with ctx.engine.connect() as connection:
        connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
        with suppress(Exception):
            await connection.execute(text("INSERT INTO public.strange VALUES ('past the effect', 'x')"))

    async def effect(connection: AsyncConnection) -> None:
        await connection.execute(text("INSERT INTO public.strange VALUES (:user, 'x')"), {"user": str(args.user_id)})

    return Done(effect=effect)


async def test_a_task_that_writes_another_table_writes_nothing_and_the_report_says_so(
    settings: Settings, engine: AsyncEngine
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE public.strange (user_id text PRIMARY KEY, name text)"))

    async with reading(settings, engine, [write_elsewhere]):
        number = await start(settings, engine, [write_elsewhere], mode="shadow", keys=["7"])
        report = (await ended(engine, number))["report"]

    assert report["runs"] == {"parked": 1}
    assert "does not write strange: name it with --table" in report["examples"][0]["shadow"]
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM public.strange"))).scalar_one() == 0


async def test_nothing_is_left_of_a_shadow_that_is_cancelled(settings: Settings, engine: AsyncEngine) -> None:
    tasks = [keeping_profiles(right)]
    number = await start(settings, engine, tasks, mode="shadow", tables=["profiles"])
    async with reading(settings, engine, tasks):
        await eventually(lambda: schemas(engine))
        await store.change(engine, number, "cancel", "ada")
        await eventually(lambda: _is_clean(engine))

    assert (await shown(engine, number))["state"] in ("cancelled", "done")


async def _is_clean(engine: AsyncEngine) -> bool:
    return not await schemas(engine)


async def schemas(engine: AsyncEngine) -> list[str]:
    """Scratch schemas that are there."""
    query = text("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tailrace_shadow%'")
    async with engine.connect() as connection:
        return [row.nspname for row in await connection.execute(query)]
