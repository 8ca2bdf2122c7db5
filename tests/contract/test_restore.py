"""What `cleanup_old_posts` has deleted comes back as it was, or stays in the bin with the reason."""

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy import text

from agents.forget_post import forget_post
from schemas.tables_cleanup import deleted_posts
from streams.cleanup.recycle_bin import CannotRestore, restore
from streams.task import Skip
from tests.attaching import attach_to, said
from tests.data_ground import execute, odd_backend
from tests.old_posts import company, dump, old_posts, result, switched_on
from tests.one_run import Workshop


@pytest.mark.parametrize("keys", ["bigint", "uuid"])
async def test_a_post_that_is_restored_is_as_it_was_to_the_last_byte_with_all_that_went_along(
    shop: Workshop, keys: str
) -> None:
    shop = switched_on(await odd_backend(shop) if keys == "uuid" else shop, take_along="Seen:By")
    schema = shop.backend.metadata.schema
    kind = "uuid" if keys == "uuid" else "bigint"
    posts = f'{schema}."{shop.backend.posts.name}"'
    await execute(
        shop.engine,
        f'CREATE TABLE {schema}."Seen\\:By" (post {kind} REFERENCES {posts}, at timestamptz, how json, much numeric, '
        "few real[], raw bytea, twice numeric GENERATED ALWAYS AS (much * 2) STORED)",
    )
    post, other = await old_posts(shop, 2)
    await company(shop, post, post)
    await execute(
        shop.engine,
        f'INSERT INTO {schema}."Seen\\:By" SELECT id, now(), \'{{"b"\\: 1,  "a"\\: 2}}\', 1.500, '
        f"'{{0.1,NaN,-Infinity}}', '\\x00ff' FROM {posts}",
    )
    before = await dump(shop)

    told = await result(shop)
    gone = await dump(shop)
    for each in (post, other):
        await restore(shop.engine, shop.backend, str(each))

    assert told["posts"] == 2
    assert sum(told["rows"].values()) == 2 + 4 + 2
    assert [name for name in gone if gone[name] != before[name] and "hashtags" not in name]
    assert await dump(shop) == before
    assert await shop.rows(deleted_posts) == []


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELECT 1", "not in the recycle bin"),
        (
            "INSERT INTO posts SELECT (jsonb_populate_record(null\\:\\:posts, p)).* FROM kept",
            "the backend has a post 1",
        ),
        ("DELETE FROM users", "user 1, is gone"),
        ("ALTER TABLE posts DROP content", "no longer has content"),
    ],
)
async def test_what_cannot_come_back_as_it_was_stays_in_the_bin(shop: Workshop, statement: str, reason: str) -> None:
    shop = switched_on(shop)
    await old_posts(shop, 1)
    await execute(shop.engine, "CREATE TABLE kept AS SELECT to_jsonb(posts) AS p FROM posts")
    await result(shop)
    await execute(shop.engine, statement)

    with pytest.raises(CannotRestore, match=reason):
        await restore(shop.engine, shop.backend, "7" if reason.startswith("not in") else "1")

    assert len(await shop.rows(deleted_posts)) == 1


async def test_rows_whose_other_end_is_gone_are_left_out_and_counted(shop: Workshop) -> None:
    shop = switched_on(shop)
    await old_posts(shop, 1)
    await shop.add_user(9)
    await shop.add(shop.backend.bookmarks, id=5, user_id=9, post_id=1)
    await result(shop)
    await execute(shop.engine, "DELETE FROM users WHERE id = 9")

    told = await restore(shop.engine, shop.backend, "1")

    assert (told["restored"], told["left_out"]) == ({"public.posts": 1}, {"public.bookmarks": 1})
    async with shop.engine.connect() as connection:
        assert (await connection.execute(sa.select(sa.func.count()).select_from(text("bookmarks")))).scalar() == 0


async def test_with_triggers_a_post_that_was_cleaned_up_is_said_to_be_gone_and_can_be_restored_none_the_less(
    shop: Workshop, database_url: str
) -> None:
    shop = switched_on(shop)
    await old_posts(shop, 1)
    connection = await asyncpg.connect(database_url)
    await attach_to(connection, database_url)
    before = await dump(shop)
    await result(shop)

    ((_, gone),) = await said(connection)
    await connection.close()
    assert forget_post.args_of
    outcome = await shop.run(forget_post, forget_post.args_of(gone), cause="gone")
    await restore(shop.engine, shop.backend, "1")

    assert outcome == Skip("post 1 is in the recycle bin, and is forgotten when it is purged")
    assert await dump(shop) == before
