"""Readers and posts for digests."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import text

from schemas.tables import task_runs
from streams.backend_presence import look_at
from streams.mail.digest_editions import open_edition
from streams.mail.digest_times import week_of
from tests.one_run import NOON, Workshop

WEEK = week_of(NOON)


async def add_reader(shop: Workshop, user_id: Any = 7, **values: Any) -> None:
    """Somebody who was here yesterday."""
    await shop.add_user(user_id, **{"last_login": NOON - timedelta(days=1), **values})


async def add_post(shop: Workshop, post_id: Any, author_id: Any = 8, **values: Any) -> None:
    """A public post of yesterday."""
    usual = {"content": f"post {post_id}", "created_at": NOON - timedelta(days=1)}
    await shop.add(shop.backend.posts, id=post_id, author_id=author_id, **{**usual, **values})


async def follow(shop: Workshop, follower: Any, followed: Any) -> None:
    await shop.add(shop.backend.follows, follower_id=follower, following_id=followed)


async def a_reader_with_a_post(shop: Workshop) -> None:
    """User 7 has something to read, by user 8, who was not here lately."""
    await add_reader(shop, 7)
    await shop.add_user(8, first_name="Grace", last_name="Hopper")
    await add_post(shop, 1)


async def begin_week(shop: Workshop) -> None:
    """As ``send_content_digest_email`` begins it, without ordering anything."""
    async with shop.engine.begin() as connection:
        await open_edition(connection, await look_at(connection, shop.backend), WEEK, NOON)


async def give_column(shop: Workshop, name: str, **values: str) -> None:
    """The optional column of this name to the backend's users; ``u7="..."``: its value for a user by name."""
    async with shop.engine.begin() as connection:
        await connection.execute(text(f"ALTER TABLE users ADD COLUMN {name} text"))
        for username, value in values.items():
            change = text(f"UPDATE users SET {name} = :value WHERE username = :username")
            await connection.execute(change, {"value": value, "username": username})


async def change(shop: Workshop, table: sa.Table, row_id: Any, **values: Any) -> None:
    async with shop.engine.begin() as connection:
        await connection.execute(table.update().where(table.c.id == row_id).values(**values))


async def a_week_begun(shop: Workshop) -> None:
    """The same, and nobody has been ordered a digest yet."""
    await a_reader_with_a_post(shop)
    await begin_week(shop)


async def digests_ordered(shop: Workshop) -> list[Any]:
    """The arguments of each digest that was ordered."""
    return [row["args"] for row in await shop.rows(task_runs) if row["task"] == "send_digest"]
