"""Events are processed again from their topics, on real Kafka and PostgreSQL."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.events import UserCreated
from streams.settings import Settings
from streams.topics import create_topics
from tests.events import runs, user_created
from tests.greeting import ended as have_ended
from tests.greeting import greet_user, make_effects_table
from tests.replays import (
    all_done,
    ended,
    faulty_from,
    keeping_profiles,
    left_behind,
    make_profiles,
    plan,
    publish,
    read_through,
    reading,
    right,
    start,
)
from tests.waiting import eventually
from tests.workers import running_worker

SHORT, FULL = 400, 10_000

WITHIN = 1500
"""Seconds for each step, also of ten thousand events on a machine that is busy."""


@pytest.fixture(autouse=True)
async def ground(settings: Settings, engine: AsyncEngine) -> None:
    await create_topics(settings)
    await make_profiles(engine)


def users(count: int, of_now: int = 0) -> list[UserCreated]:
    """Of every second the name is odd. All have signed up hours ago, but for the last ones."""
    now = datetime.now(UTC)
    times = [now - timedelta(hours=3)] * (count - of_now) + [now] * of_now
    return [
        user_created(number, username=f"{'odd' if number % 2 else 'even'}{number}", created_at=at)
        for number, at in enumerate(times)
    ]


async def ledger(engine: AsyncEngine) -> list[Any]:
    return [tuple(row) for row in sorted(await runs(engine), key=lambda row: row.id)]


@pytest.fixture
def count(full: bool) -> int:
    """Events of a test."""
    return FULL if full else SHORT


async def test_what_is_done_is_not_done_again_and_no_row_changes(
    settings: Settings, engine: AsyncEngine, count: int
) -> None:
    tasks = [keeping_profiles(right)]
    await publish(settings, users(count))
    async with running_worker(settings, tasks):
        await eventually(lambda: all_done(engine, count), within=WITHIN)
        before = await ledger(engine), await left_behind(engine, settings.media.root)

        counted = await plan(settings, engine, tasks)
        replays = [await ended(engine, await start(settings, engine, tasks), within=WITHIN) for _ in range(2)]

    assert counted.counts.tasks == {"keep_profile": {"done": count}}
    assert [(replay["state"], replay["runs"]) for replay in replays] == [("done", {})] * 2
    assert replays[0]["counts"] == {"read": count, "events": count, "undecodable": 0, "tasks": counted.counts.tasks}
    assert (await ledger(engine), await left_behind(engine, settings.media.root)) == before


async def test_a_redo_with_the_mended_task_leaves_what_a_run_without_the_fault_would_have_left(
    settings: Settings, engine: AsyncEngine, count: int
) -> None:
    of_now = count // 8
    facts = users(count, of_now)
    broken, mended = [keeping_profiles(faulty_from(count - of_now))], [keeping_profiles(right)]
    await publish(settings, facts)
    async with running_worker(settings, broken):
        await eventually(lambda: all_done(engine, count), within=WITHIN)
    wrong, _ = await left_behind(engine, settings.media.root)

    async with running_worker(settings, mended):
        number = await start(settings, engine, mended, mode="redo", start="1h", where="username >= 'odd'")
        replay = await ended(engine, number, within=WITHIN)

    rows, files = await left_behind(engine, settings.media.root)
    wanted = {str(user.user_id): user.username.upper() for user in facts if not str(user.user_id).endswith("9")}
    assert sum(name != wanted[user] for user, name in wrong) == count // 20, "of 10,000 exactly 500"
    assert replay["counts"]["events"] == of_now // 2
    assert replay["runs"] == {"done": count // 20, "skipped": of_now // 10}
    assert dict(rows) == wanted
    assert files == {f"{user}.txt": name.encode() for user, name in wanted.items()}
    assert {run.generation for run in await runs(engine) if run.replay == number} == {number}
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM tailrace.mail_deliveries"))).scalar_one() == 0


async def test_what_was_never_done_is_done_once_by_a_redo_and_dead_runs_only_where_they_are_asked_for(
    settings: Settings, engine: AsyncEngine
) -> None:
    tasks = [replace(greet_user, redo=True)]
    await make_effects_table(engine)
    await publish(settings, [user_created(2), user_created(7)])
    async with running_worker(settings, tasks):
        await eventually(lambda: have_ended(engine, 2))
    await publish(settings, [user_created(8)])

    left = await plan(settings, engine, tasks)
    included = await plan(settings, engine, tasks, dead=True)
    async with reading(settings, engine, tasks):
        number = await start(settings, engine, tasks, mode="redo")
        await read_through(engine, number)
    again = await plan(settings, engine, tasks)

    assert left.counts.tasks == {"greet_user": {"done": 1, "dead": 1, "missing": 1}}
    assert included.counts.tasks == {"greet_user": {"done": 1, "again": 1, "missing": 1}}
    submitted = {run.args["user_id"]: run.generation for run in await runs(engine) if run.replay == number}
    assert submitted == {2: number, 7: number, 8: 0}
    assert again.counts.tasks == {"greet_user": {"done": 1, "dead": 1, "under_way": 1}}
