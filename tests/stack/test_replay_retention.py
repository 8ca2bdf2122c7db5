"""Offsets that retention has taken, before a replay or under its hands, are named, and the rest is replayed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from agents import TASKS
from schemas.events import PostUploaded
from streams.replay.shown import plan_lines, status_lines
from streams.settings import Settings
from streams.topics import create_topics
from tests.events import delete_records, post_uploaded, runs, user_created
from tests.replays import ended, passed, plan, publish, read_through, reading, shown, start
from tests.waiting import eventually

LARGE = 200_000
"""Characters of a post: a reader has fetched few of them ahead."""


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "TAILRACE_REPLAY__MAX_LIVE_LAG": "1h"}


@pytest.fixture(autouse=True)
async def topics(settings: Settings) -> None:
    await create_topics(settings)


def gaps(replay: dict[str, Any]) -> Sequence[tuple[int, int]]:
    return [(gap["begin"], gap["end"]) for gap in replay["gaps"]]


async def test_offsets_that_are_gone_are_named_by_the_plan_and_those_that_go_before_they_are_read_by_the_replay(
    settings: Settings, engine: AsyncEngine
) -> None:
    await publish(settings, [user_created(7)] * 10)
    await delete_records(settings, "user.created", up_to=4)
    (partition,) = [gap.partition for gap in (await plan(settings, engine, TASKS, topic="user.created")).gaps]

    whole = plan_lines(await plan(settings, engine, TASKS))
    part = await plan(settings, engine, TASKS, start=f"offset:{partition}=2", partitions=[partition])
    late = await plan(settings, engine, TASKS, start=f"offset:{partition}=5", partitions=[partition])

    assert f"GONE: offsets 0 to 3 of user.created partition {partition}, taken by retention" in whole
    assert [(gap.begin, gap.end) for gap in part.gaps] == [(2, 4)]
    assert (late.gaps, late.counts.read) == ([], 5)

    number = await start(settings, engine, TASKS, topic="user.created")
    await delete_records(settings, "user.created", up_to=7)
    async with reading(settings, engine, TASKS):
        replay = await ended(engine, number)
    assert gaps(replay) == [(0, 4), (4, 7)]
    assert (replay["state"], replay["counts"]["read"]) == ("done", 3)


async def test_what_is_gone_and_may_have_been_of_the_time_that_was_asked_for_is_named_as_such(
    settings: Settings, engine: AsyncEngine
) -> None:
    now = datetime.now(UTC)
    times = [now - timedelta(hours=hours) for hours in (5, 4, 3, 2)]
    await publish(settings, [user_created(7, created_at=at) for at in times])
    await delete_records(settings, "user.created", up_to=2)

    earlier = await plan(settings, engine, TASKS, start="6h")
    later = await plan(settings, engine, TASKS, start="150m")

    assert [(gap.begin, gap.end, gap.perhaps) for gap in earlier.gaps] == [(0, 2, True)]
    assert "perhaps of the time that was asked for, taken by retention" in "".join(plan_lines(earlier))
    assert (earlier.counts.events, later.counts.events, later.gaps) == (2, 1, [])


async def test_a_replay_goes_on_behind_what_is_taken_while_it_reads(settings: Settings, engine: AsyncEngine) -> None:
    count, up_to = 140, 130
    await publish(settings, [_large(number) for number in range(count)])
    number = await start(settings, engine, TASKS, topic="post.uploaded", rate=20)

    async def has_begun() -> bool:
        return passed(await shown(engine, number)) > 0

    async with reading(settings, engine, TASKS):
        await eventually(has_begun)
        await delete_records(settings, "post.uploaded", up_to=up_to)
        replay = await read_through(engine, number)

    ((begin, end),) = gaps(replay)
    assert 0 < begin < end == up_to
    assert {run.args["post_id"] for run in await runs(engine)} == {*range(begin), *range(end, count)}
    assert replay["counts"]["read"] == passed(replay) == count - (end - begin)
    named = f"GONE: offsets {begin} to {up_to - 1} of post.uploaded partition {replay['gaps'][0]['partition']}"
    assert any(line.startswith(named) for line in status_lines(replay, datetime.now(UTC)))


def _large(number: int) -> PostUploaded:
    return post_uploaded(number, 7, image=f"p/{number}.jpg", text="x" * LARGE)


async def test_a_replay_of_which_everything_is_taken_ends_and_names_all_of_it(
    settings: Settings, engine: AsyncEngine
) -> None:
    await publish(settings, [user_created(7)] * 10)
    number = await start(settings, engine, TASKS)
    await delete_records(settings, "user.created")

    async with reading(settings, engine, TASKS):
        replay = await ended(engine, number)

    assert (replay["state"], gaps(replay), replay["counts"]["read"]) == ("done", [(0, 10)], 0)
