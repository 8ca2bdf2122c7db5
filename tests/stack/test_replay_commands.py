"""``tailrace replay`` as an operator types it."""

import json
from collections.abc import Mapping

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from agents import TASKS
from schemas.events import PostUploaded
from streams.replay.request import WrongReplay
from streams.replay.shown import plan_lines
from streams.settings import Settings
from streams.topics import create_topics
from tests.events import delete_records, post_uploaded, runs, user_created
from tests.letters import rows
from tests.operations import add_user, say
from tests.replays import ended, plan, publish, reading, start
from tests.waiting import eventually
from tests.workers import running_worker

Environment = Mapping[str, str]


@pytest.fixture(autouse=True)
async def topics(settings: Settings) -> None:
    await create_topics(settings)


def uploads(count: int) -> list[PostUploaded]:
    """Posts that the backend does not have, so that each run ends at once."""
    return [post_uploaded(number, number % 10, image=f"p/{number}.jpg") for number in range(count)]


async def test_a_replay_is_planned_started_and_shown(
    settings: Settings, environment: Environment, engine: AsyncEngine
) -> None:
    await publish(settings, uploads(30))
    wanted = ("post.uploaded", "--from", "1h", "--where", "author_id == 3", "--note", "why not")

    planned = await say(environment, "replay", "start", *wanted)
    async with running_worker(settings, TASKS):
        await eventually(lambda: _all_ended(engine, 30))
        started = await say(environment, "replay", "start", *wanted, "--execute", "--wait", "--json")
    status = await say(environment, "replay", "status", "1")
    listed = await say(environment, "replay", "status", "--json")

    assert "3 not done yet: would be done" in planned.out, planned
    assert "nothing was started; --execute starts it" in planned.out
    assert json.loads(started.out)["status"]["counts"]["tasks"] == {"process_media_upload": {"done": 3}}
    assert "replay 1 of post.uploaded, missing: done" in status.out, status
    assert "note: why not" in status.out
    assert [replay["id"] for replay in json.loads(listed.out)] == [1]


async def _all_ended(engine: AsyncEngine, count: int) -> bool:
    return [row.state for row in await runs(engine)] == ["skipped"] * count


async def test_wrong_names_end_with_the_right_ones_and_nothing_starts(
    settings: Settings, environment: Environment, engine: AsyncEngine
) -> None:
    said = [
        await say(environment, "replay", "start", "user.crated", "--execute"),
        await say(environment, "replay", "pause", "4"),
    ]

    assert [found.code for found in said] == [1] * 2
    assert "(did you mean user.created?)" in said[0].errors
    assert "there is no replay 4; `tailrace replay status` lists them" in said[1].errors
    with pytest.raises(WrongReplay, match=r"user.created has no partition 9; it has 0, 1, 2, 3"):
        await start(settings, engine, TASKS, partitions=[9])
    with pytest.raises(WrongReplay, match=r"--from offset 5: partition 0 of user.created holds"):
        await start(settings, engine, TASKS, start="offset:5")
    assert await runs(engine) == []


async def test_offsets_that_retention_has_taken_are_named(
    settings: Settings, environment: Environment, engine: AsyncEngine
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
    assert [(gap["begin"], gap["end"]) for gap in replay["gaps"]] == [(0, 4), (4, 7)]
    assert (replay["state"], replay["counts"]["read"]) == ("done", 3)


async def test_no_mail_goes_out_unless_it_is_asked_for_previewed_and_within_the_cap(
    settings: Settings, environment: Environment, engine: AsyncEngine
) -> None:
    for number in range(3):
        await add_user(engine, number)
    await publish(settings, [user_created(number) for number in range(3)])

    silent = await plan(settings, engine, TASKS)
    previewed = await say(environment, "replay", "plan", "user.created", "--send-mail")
    with pytest.raises(WrongReplay, match="3 mails would go out and the cap is 2"):
        await start(settings, engine, TASKS, send_mail=True, mail_cap=2)

    assert "mails that would go out: 0; 3 are withheld, --send-mail sends them" in plan_lines(silent)
    assert "mails that would go out: at most 3; the cap is 100\n  u0@example.org\n  u1@" in previewed.out
    assert await rows(engine, "replays") == []
