"""The guides to single parts as their readers work through them: each command as it stands there, in order, beside a
worker and a server that has the token; with ``--full``, since they are many.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from aiosmtplib import SMTPConnectError
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backend import backend_tables
from streams.settings import Settings
from streams.topics import create_topics
from tests.backend import photo
from tests.events import post_uploaded
from tests.guides import ROOT, Shell, commands, reader
from tests.letters import bury, command, died
from tests.operations import add_user
from tests.replays import publish

GUIDES = ("work", "dead-letters", "schedules", "data-tasks", "media", "mail", "trends", "publishing", "clean-up")

NOT_TYPED = {
    "tailrace worker": "goes on until it is stopped",
    "trends/stream": "goes on until it is stopped",
    "pip ": "tests/stack/test_client.py builds and installs the client",
}
"""What stands in a command -> why it is left out."""


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "TAILRACE_HTTP__TOKEN": "sixteen letters long"}


async def test_what_the_guides_tell_to_type_ends_well(
    settings: Settings, environment: dict[str, str], engine: AsyncEngine, tmp_path: Path, full: bool
) -> None:
    if not full:
        pytest.skip("eighty commands take a minute: with --full")
    await _what_the_guides_speak_of(settings, engine)
    failed = []

    async with reader(environment, tmp_path, warm=True) as shell:
        await _clean_up(shell)
        for guide in GUIDES:
            for typed in commands(ROOT / "docs" / f"{guide}.md"):
                if not any(part in typed for part in NOT_TYPED):
                    said = await shell.type(typed)
                    failed += [f"{guide}: {typed}\n{said.out}{said.errors}"] if said.code else []

    assert not failed, "\n".join(failed)


async def _what_the_guides_speak_of(settings: Settings, engine: AsyncEngine) -> None:
    """Users 7 and 8, post 11 with a picture, post 4711, which nobody has looked at for years, and a dead letter."""
    await create_topics(settings)
    for user_id in (7, 8):
        await add_user(engine, user_id)
    photo(settings.media.root, "a.jpg", (60, 40))
    backend = backend_tables()
    posts, content_types = backend.posts, backend.content_types
    long_ago = datetime.now(UTC) - timedelta(days=800)
    async with engine.begin() as connection:
        await connection.execute(content_types.insert().values(id=31, app_label="posts", model="post"))
        await connection.execute(posts.insert().values(id=11, author_id=8, content="look", image="a.jpg"))
        await connection.execute(posts.insert().values(id=4711, author_id=7, content="old", created_at=long_ago))
    before = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(minutes=10)
    earlier = post_uploaded(10, 7, "sea", created_at=before)  # so that the last full hour has counts
    await publish(settings, [earlier, post_uploaded(11, 8, "sea", "sunset", image="a.jpg")])
    letter = died("queue.emails", msgspec.json.encode(command(7)))
    await bury(settings, letter, error=SMTPConnectError("no"))


async def _clean_up(shell: Shell) -> None:
    """So that post 4711 is in the bin."""
    switched_on = "TAILRACE_CLEANUP__OLD_POSTS_ENABLED=true TAILRACE_CLEANUP__OLD_POSTS_MAX_SHARE=1"
    said = await shell.type(f"{switched_on} tailrace run cleanup_old_posts")
    assert said.code == 0, said
