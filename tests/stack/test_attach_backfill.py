"""Backfills: the triggers' own ids, once, from where they were broken off."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from schemas.backend import backend_tables
from streams.attach import backfill
from streams.attach.backfill import Backfill
from streams.attach.inspection import inspect
from streams.setting_groups import Backend
from tests.attaching import EVENTS, add_user, attach_to, insert

BACKEND = backend_tables()
NOW = datetime.now(UTC).replace(microsecond=0)
SINCE = NOW - timedelta(days=30)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """With a user, and a post for each of the last forty days, some with a picture."""
    opened = await asyncpg.connect(database_url)
    await add_user(opened, BACKEND, id=7, date_joined=NOW)
    days = [{"id": n, "image": "a.jpg" if n % 2 else "", "created_at": NOW - timedelta(days=n)} for n in range(1, 41)]
    rows = [{"author_id": 7, "content": "", "visibility": "odd" if row["id"] == 5 else "public", **row} for row in days]
    await insert(opened, BACKEND.posts, *rows)
    yield opened
    await opened.close()


async def of_posts(connection: asyncpg.Connection) -> Backfill:
    found = await inspect(connection, Backend())
    return Backfill("posts", SINCE, found.columns)


async def test_a_backfill_says_what_the_triggers_would_have_said(
    connection: asyncpg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "PAGE", 7)

    counts = await (await of_posts(connection)).run(connection, lambda _: None)

    backfilled = await connection.fetch(EVENTS)
    assert (counts.looked_at, counts.said, counts.set_aside) == (40, 29, 1)
    await connection.execute("CREATE TEMP TABLE kept AS SELECT * FROM posts WHERE id <= 30; DELETE FROM posts")
    await attach_to(connection, database_url)
    await connection.execute("DELETE FROM tailrace.outbox; INSERT INTO posts SELECT * FROM kept ORDER BY id")
    triggered = await connection.fetch(EVENTS)
    same = ("topic", "key", "headers", "payload", "state", "error")
    assert [[row[name] for name in same] for row in backfilled] == [[row[name] for name in same] for row in triggered]


async def test_a_backfill_goes_on_where_it_was_broken_off_and_is_not_begun_again(
    connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "PAGE", 10)
    said: list[str] = []

    def break_off(message: str) -> None:
        said.append(message)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await (await of_posts(connection)).run(connection, break_off)
    counts = await (await of_posts(connection)).run(connection, said.append)
    again = await (await of_posts(connection)).run(connection, said.append)

    assert (counts.looked_at, again) == (40, counts)
    assert "was finished" in said[-1]
    assert await connection.fetchval("SELECT count(*) FROM tailrace.outbox") == 30
