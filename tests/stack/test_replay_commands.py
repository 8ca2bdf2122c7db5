"""``tailrace replay`` as an operator types it."""

import asyncio
import json
from collections.abc import Mapping

import pytest
from click.testing import CliRunner
from sqlalchemy.ext.asyncio import AsyncEngine

from agents import TASKS
from schemas.events import PostUploaded
from streams.cli import cli
from streams.replay.request import WrongReplay
from streams.replay.shown import plan_lines
from streams.settings import Settings
from streams.topics import create_topics
from tests.events import post_uploaded, runs, user_created
from tests.letters import rows
from tests.operations import add_user, say
from tests.replays import plan, publish, start
from tests.waiting import eventually
from tests.workers import running_worker

Environment = Mapping[str, str]


@pytest.fixture(autouse=True)
async def topics(settings: Settings) -> None:
    await create_topics(settings)


def uploads(count: int) -> list[PostUploaded]:
    """Posts that the backend does not have, so that each run ends at once."""
    return [post_uploaded(number, number % 10, image=f"p/{number}.jpg") for number in range(count)]


@pytest.mark.timeout(240)
async def test_a_replay_is_planned_started_and_shown(
    settings: Settings, environment: Environment, engine: AsyncEngine
) -> None:
    await publish(settings, uploads(30))
    wanted = ("post.uploaded", "--from", "1h", "--where", "author_id == 3", "--note", "why not")

    planned = await say(environment, "replay", "start", *wanted)
    async with running_worker(settings, TASKS):
        await eventually(lambda: _all_ended(engine, 30), within=90)
        started = await say(environment, "replay", "start", *wanted, "--execute", "--wait", "--json", within=180)
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


WRONG = (
    (("user.crated",), "(did you mean user.created?); there are user.created, post.uploaded,"),
    (("user.created", "--task", "send_welcome_mail"), "(did you mean send_welcome_email?); there are send_welcome"),
    (("user.created", "--where", "usrname == 'ada'"), "(did you mean username?); its fields are user_id, email,"),
    (("user.created", "--type", "user.creation"), "(did you mean user.created?); there are user.created,"),
    (("user.created", "--from", "yesterday"), "--from 'yesterday' is no time; write an instant such as 2026-03-04T12"),
    (("user.created", "--from", "1h", "--to", "2h"), "is not earlier than --to"),
    (("user.created", "--partition", "9"), "user.created has no partition 9; it has 0, 1, 2, 3"),
    (("user.created", "--from", "offset:5"), "--from offset 5: partition 0 of user.created is empty, up to 0"),
    (("user.created", "--mode", "redo", "--table", "users"), "--table goes with --mode shadow"),
    (("user.created", "--mode", "shadow", "--send-mail"), "a shadow replay never sends mail"),
)
"""What an operator asks for, and what the command says to it."""


async def test_what_is_wrong_ends_with_the_right_names_and_nothing_starts(
    environment: Environment, engine: AsyncEngine
) -> None:
    paused = await say(environment, "replay", "pause", "4")
    said = [
        await asyncio.to_thread(CliRunner().invoke, cli, ["replay", "start", *asked, "--execute"], env=environment)
        for asked, _ in WRONG
    ]

    assert (paused.code, "there is no replay 4; `tailrace replay status` lists them" in paused.errors) == (1, True)
    assert [found.exit_code for found in said] == [1] * len(WRONG)
    for found, (_, answer) in zip(said, WRONG, strict=True):
        assert answer in found.output
        assert found.output.startswith("tailrace replay start: ")
    assert (await rows(engine, "replays"), await runs(engine)) == ([], [])


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
