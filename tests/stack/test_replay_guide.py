"""`docs/replay.md` as its reader works through it: each command as it stands there, in order, beside a worker and a
server that has the token. With ``--full`` the commands are the installed program.
"""

import re
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backend import backend_tables
from streams.settings import Settings
from tests.backend import photo
from tests.events import post_uploaded, user_created
from tests.guides import ROOT, commands, reader
from tests.letters import rows
from tests.operations import add_user
from tests.replays import publish
from tests.waiting import eventually
from tests.workers import running_worker

GUIDE = ROOT / "docs" / "replay.md"
USERS, PICTURED, PLAIN = 5, 12, 120

PROMISED = {
    "replay plan user.created --from 24h": r"send_welcome_email: 5 commands\n.*5 skipped: would send mail",
    "replay plan post.uploaded --from 2026-03-04": "; 0 events are meant",
    "replay plan post.uploaded --from offset:0=12": r"\d+ records of post.uploaded lie there",
    '--note "a task that is new"': "mails that would go out: 0; 5 are withheld, --send-mail sends them",
    "replay start post.uploaded --from 24h --mode redo --rate 1": "replay 2 has started",
    "replay status 1": "replay 1 of user.created, missing: .*\nnote: a task that is new\n",
    "replay pause 2": "replay 2 is paused",
    "replay resume 2": "replay 2 goes on",
    "replay cancel 2": "replay 2 is cancelled, with [0-9]+ runs",
    "replay plan post.uploaded --from 7d --mode redo": "process_media_upload: 12 commands",
    "--mode shadow": "the shadow's runs: 12 done\ndifferent: outcomes 0; rows 0; files 0",
    "replay plan user.created --from 2h --send-mail": "at most 5; the cap is 100\n  u1@example.org",
    "export user.created": "5 records of user.created in [1-4] files under archive",
    "export post.uploaded": r"\d+ records of post.uploaded in 4 files under s3://archive/tailrace",
    "import user.created": "5 records of [1-4] files lie in user.created.imported",
    "replay plan user.created.imported": "send_welcome_email: 5 commands\n  5 skipped: done already",
    "/replays/plan": '"send_welcome_email":{"done":5}',
    "/api/v1/replays -d": '"replay":6',
    "/replays/6/pause": '"done":"pause"',
    "curl http://127.0.0.1:8000/api/v1/replays/6": '"state":"paused"',
    "tailrace trends rebuild": r" 0 differ\n.*generation \d+ is live",
}
"""What stands in a command of the guide, and what it says then."""


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "TAILRACE_HTTP__TOKEN": "sixteen letters long"}


@pytest.mark.timeout(300)
async def test_each_command_of_the_guide_does_what_the_guide_says(
    settings: Settings, environment: dict[str, str], engine: AsyncEngine, tmp_path: Path, full: bool
) -> None:
    await _events_that_caused_nothing(settings, engine)

    async with reader(environment, tmp_path, warm=not full) as shell:
        said = {command: await shell.type(command) for command in commands(GUIDE)}

    for command, answer in said.items():
        assert answer.code == 0, f"{command}\n{answer.out}{answer.errors}"
    for part, promise in PROMISED.items():
        found = [(command, answer) for command, answer in said.items() if part in command]
        assert found, f"no command of the guide has {part!r} any more"
        for command, answer in found:
            assert re.search(promise, answer.out, re.DOTALL), f"{command}\n{answer.out}{answer.errors}"
    states = [(replay.id, replay.state) for replay in await rows(engine, "replays")]
    assert sorted(states) == [(1, "done"), (2, "cancelled"), (3, "done"), (4, "done"), (5, "done"), (6, "paused")]
    assert len([mail for mail in await rows(engine, "mail_deliveries") if mail.state == "sent"]) == USERS


async def _events_that_caused_nothing(settings: Settings, engine: AsyncEngine) -> None:
    """Users whom nobody has greeted and pictures that nobody has rendered: the version that ran had no such tasks."""
    for number in range(1, USERS + 1):
        await add_user(engine, number)
    pictured = [post_uploaded(number, number % USERS + 1, image=f"p/{number}.jpg") for number in range(PICTURED)]
    async with engine.begin() as connection:
        for post in pictured:
            photo(settings.media.root, post.image or "", (60, 40))
            row = {"id": post.post_id, "author_id": post.author_id, "image": post.image}
            await connection.execute(backend_tables().posts.insert().values(row))
    plain = [post_uploaded(1000 + number, number % 40, "cat", "sea") for number in range(PLAIN)]
    users = [user_created(number) for number in range(1, USERS + 1)]
    async with running_worker(settings) as worker:
        await publish(settings, [*users, *plain, *pictured])
        heard = {"user.created": USERS, "post.uploaded": PLAIN + PICTURED}
        read = worker.metrics.registry.get_sample_value
        await eventually(lambda: all(read("tailrace_consumed_total", {"topic": t}) == n for t, n in heard.items()))
