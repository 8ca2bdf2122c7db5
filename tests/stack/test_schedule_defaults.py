"""The schedules that come with Tailrace: there after the first start, and never against a person's will."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

import agents
from streams.schedules import store
from streams.schedules.defaults import DEFAULTS, Default, ensure_defaults
from streams.task import Task
from tests.scheduling import TASKS, clean_up, database_now, instants, new_timer, schedule, update

COUNT = Default("count_all", "0 3 * * *")
NEW = Default("a_new_task", "0 4 * * *")
KNOWN = list(TASKS.values())
NEWER: list[Task] = [*KNOWN, replace(clean_up, name="a_new_task")]


async def test_the_defaults_are_there_after_a_start(engine: AsyncEngine) -> None:
    await ensure_defaults(engine, [])

    async with engine.connect() as connection:
        found = {each.name: each.cron for each in await store.all_schedules(connection)}
    assert found == {default.task: default.cron for default in DEFAULTS}


async def test_the_defaults_of_the_tasks_that_are_there_are_on(engine: AsyncEngine) -> None:
    await ensure_defaults(engine, agents.TASKS)

    for name in {default.task for default in DEFAULTS} & {task.name for task in agents.TASKS}:
        found = await schedule(engine, name)
        assert (found.enabled, found.error) == (True, None)
        assert found.next_at is not None


async def test_a_default_is_due_at_its_first_instant_after_the_start(engine: AsyncEngine) -> None:
    now = await database_now(engine)

    await ensure_defaults(engine, KNOWN, [COUNT])

    found = await schedule(engine, "count_all")
    assert found.enabled
    assert found.next_at is not None
    assert (found.next_at.hour, found.next_at.minute) == (3, 0)
    assert now < found.next_at <= now + timedelta(days=1)


async def test_a_default_whose_task_this_version_lacks_is_disabled_and_says_so(engine: AsyncEngine) -> None:
    await ensure_defaults(engine, KNOWN, [NEW])

    found = await schedule(engine, "a_new_task")
    assert (found.enabled, found.next_at) == (False, None)
    assert found.error == "this version has no task a_new_task"


async def test_a_version_that_has_the_task_enables_it_and_an_older_one_leaves_it_so(engine: AsyncEngine) -> None:
    await ensure_defaults(engine, KNOWN, [NEW])

    await ensure_defaults(engine, NEWER, [NEW])
    enabled = await schedule(engine, "a_new_task")
    await ensure_defaults(engine, KNOWN, [Default("a_new_task", "0 23 * * *")])

    assert enabled.enabled
    assert enabled.error is None
    assert enabled.next_at is not None
    assert await schedule(engine, "a_new_task") == enabled


async def test_a_restart_keeps_what_an_outage_has_missed(engine: AsyncEngine) -> None:
    await ensure_defaults(engine, KNOWN, [COUNT])
    found = await schedule(engine, "count_all")
    assert found.next_at is not None
    missed = found.next_at - timedelta(days=1)
    await update(engine, "count_all", next_at=missed)

    await ensure_defaults(engine, KNOWN, [COUNT])
    await new_timer(engine).round()

    assert await instants(engine, "count_all", "queued") == [missed]


async def test_a_release_changes_a_default_that_nobody_has_edited(engine: AsyncEngine) -> None:
    await ensure_defaults(engine, KNOWN, [COUNT])

    await ensure_defaults(engine, KNOWN, [Default("count_all", "30 5 * * *")])

    found = await schedule(engine, "count_all")
    assert found.cron == "30 5 * * *"
    assert found.next_at is not None
    assert (found.next_at.hour, found.next_at.minute) == (5, 30)


async def test_a_default_that_was_edited_or_disabled_stays_so(engine: AsyncEngine) -> None:
    await ensure_defaults(engine, NEWER, [COUNT, NEW])
    await store.edit(engine, NEWER, "count_all", {"cron": "15 6 * * *"})
    await store.disable(engine, "a_new_task")
    edited = await schedule(engine, "count_all")

    await ensure_defaults(engine, NEWER, [COUNT, NEW])

    assert await schedule(engine, "count_all") == edited
    assert not (await schedule(engine, "a_new_task")).enabled


async def test_a_default_that_was_deleted_does_not_come_back(engine: AsyncEngine) -> None:
    await ensure_defaults(engine, KNOWN, [COUNT])
    await store.delete(engine, "count_all")

    await ensure_defaults(engine, KNOWN, [COUNT])

    async with engine.connect() as connection:
        assert await store.all_schedules(connection) == []


async def test_workers_that_start_at_once_add_each_default_once(engine: AsyncEngine) -> None:
    await asyncio.gather(*(ensure_defaults(engine, KNOWN) for _ in range(5)))

    async with engine.connect() as connection:
        assert len(await store.all_schedules(connection)) == len(DEFAULTS)
