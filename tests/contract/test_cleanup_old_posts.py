"""`cleanup_old_posts`: which posts go, what goes along, and that all of it comes back as it was."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from agents.cleanup_old_posts import CleanupOldPosts, cleanup_old_posts
from schemas.tables_cleanup import deleted_posts
from streams.task import Dead, Skip
from tests.data_ground import empty, execute, insert, keys_of, odd_backend, person
from tests.old_posts import content_types, dump, old_posts, posts_left, result, switched_on
from tests.one_run import NOON, Workshop

POST = st.fixed_dictionaries(
    {
        "days": st.sampled_from([1, 364, 364.99, 365.01, 400]),
        "is_pinned": st.booleans() | st.just(False),
        "views_count": st.sampled_from([0, 9, 10, 11]),
        "likes": st.sampled_from([0, 0, 0, 1]),
        "comments": st.sampled_from([0, 0, 0, 1]),
        "shares": st.sampled_from([0, 0, 0, 1]),
        "counters": st.integers(0, 3),
    }
)


def may_go(post: dict[str, Any]) -> bool:
    """The rule of design.md in plain Python."""
    quiet = not (post["likes"] or post["comments"] or post["shares"])
    return post["days"] > 365 and not post["is_pinned"] and post["views_count"] < 10 and quiet


async def fill(shop: Workshop, posts: list[dict[str, Any]]) -> list[Any]:
    backend, keys = shop.backend, keys_of(shop.backend, len(posts))
    await content_types(shop)
    await insert(shop, backend.users, [person(1, keys[0])])
    named = list(zip(keys, posts, strict=True))
    columns = ("is_pinned", "views_count")
    counters = ("likes_count", "comments_count", "shares_count")
    await insert(
        shop,
        backend.posts,
        [
            {"id": key, "author_id": keys[0], "created_at": NOON - timedelta(days=post["days"])}
            | {name: post[name] for name in columns}
            | dict.fromkeys(counters, post["counters"])
            for key, post in named
        ],
    )
    likes = [{"content_type_id": 31, "object_id": key, "user_id": keys[0]} for key, post in named if post["likes"]]
    # Likes of comments with the same number are not likes of the post.
    likes += [{"content_type_id": 32, "object_id": key, "user_id": keys[0]} for key in keys]
    await insert(shop, backend.likes, likes)
    for table, name, owner in ((backend.comments, "comments", "author_id"), (backend.shares, "shares", "user_id")):
        await insert(shop, table, [{"post_id": key, owner: keys[0]} for key, post in named if post[name]])
    return keys


@pytest.mark.parametrize("keys", ["bigint", "uuid"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(posts=st.lists(POST, min_size=1, max_size=12))
async def test_the_posts_that_go_are_those_of_a_rule_in_python(
    shop: Workshop, keys: str, posts: list[dict[str, Any]]
) -> None:
    shop = switched_on(await odd_backend(shop) if keys == "uuid" else shop)
    await empty(shop)
    named = dict(zip(await fill(shop, posts), posts, strict=True))

    told = await result(shop)

    assert await posts_left(shop) == sorted(key for key, post in named.items() if not may_go(post))
    assert told["posts"] == told["matching"] == sum(may_go(post) for post in posts)


async def test_until_it_is_switched_on_it_only_tells_which_posts_would_go(shop: Workshop) -> None:
    await old_posts(shop, 3)
    before = await dump(shop)

    told = await result(shop)

    assert (told["dry_run"], told["posts"], told["ids"]) == (True, 3, ["1", "2", "3"])
    assert await dump(shop) == before
    assert await shop.rows(deleted_posts) == []


async def test_more_than_the_share_is_refused_until_somebody_allows_it(shop: Workshop) -> None:
    shop = switched_on(shop, old_posts_max_share=0.05)
    await old_posts(shop, 3)
    await execute(shop.engine, "UPDATE posts SET created_at = now() WHERE id = 3")

    refused = await shop.run(cleanup_old_posts, CleanupOldPosts(), cause="1")
    left = await posts_left(shop)
    await result(shop, cause="2", max_share=0.67)

    assert isinstance(refused, Dead)
    assert refused.reason.endswith("""tailrace run cleanup_old_posts --args '{"max_share": 0.67}'""")
    assert (left, await posts_left(shop)) == ([1, 2, 3], [3])


async def test_a_post_that_an_unknown_table_refers_to_stays_and_is_counted(shop: Workshop) -> None:
    shop = switched_on(shop)
    await old_posts(shop, 4)
    await execute(
        shop.engine,
        "CREATE TABLE public.orders (post bigint REFERENCES posts)",
        "INSERT INTO public.orders VALUES (1), (1)",
        "ALTER TABLE users ADD pinned bigint REFERENCES posts ON DELETE CASCADE",
        "UPDATE users SET pinned = 2",
        "CREATE TABLE public.seen (post bigint REFERENCES posts ON DELETE CASCADE)",
        "INSERT INTO public.seen VALUES (3)",
    )

    told = await result(shop)

    assert told["kept"] == {"public.orders": 1, "public.users": 1}
    assert told["rows"] == {"public.posts": 2, "public.seen": 1}
    assert await posts_left(shop) == [1, 2]


async def test_a_run_that_is_killed_between_batches_is_whole_and_the_next_one_goes_on(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.cleanup.deleting.POSTS", 2)
    shop = switched_on(shop)
    await old_posts(shop, 5)
    await execute(
        shop.engine,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'killed'; END $$",
        "CREATE TRIGGER fail BEFORE DELETE ON posts FOR EACH ROW WHEN (old.id = 4) EXECUTE FUNCTION fail()",
    )
    run = await shop.with_leases_of(timedelta(0)).claim(cleanup_old_posts, CleanupOldPosts())

    with pytest.raises(Exception, match="killed"):
        await shop.perform(run)
    binned = [row["post_id"] for row in await shop.rows(deleted_posts)]
    left = await posts_left(shop)
    await execute(shop.engine, "DROP TRIGGER fail ON posts")
    await result(shop, cause="2")

    assert (binned, left) == (["1", "2"], [3, 4, 5])
    assert await posts_left(shop) == []
    assert len(await shop.rows(deleted_posts)) == 5


async def test_a_post_on_which_somebody_comments_at_this_moment_stays(shop: Workshop) -> None:
    shop = switched_on(shop)
    await old_posts(shop, 2)

    async with shop.engine.begin() as connection:
        await connection.execute(shop.backend.comments.insert().values(post_id=1, author_id=1))
        await connection.execute(text("UPDATE posts SET comments_count = comments_count + 1 WHERE id = 1"))
        told = await result(shop)

    assert told["changed_meanwhile"] == 1
    assert await posts_left(shop) == [1]


async def test_one_that_the_database_refuses_to_let_go_stays_alone(shop: Workshop) -> None:
    shop = switched_on(shop)
    await old_posts(shop, 3)
    await execute(
        shop.engine,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'no' USING ERRCODE = 'foreign_key_violation'; END $$",
        "CREATE TRIGGER refuse BEFORE DELETE ON posts FOR EACH ROW WHEN (old.id = 2) EXECUTE FUNCTION refuse()",
    )

    told = await result(shop)

    assert sum(told["kept"].values()) == 1
    assert await posts_left(shop) == [2]


async def test_without_a_table_that_the_rule_asks_nothing_is_deleted(shop: Workshop) -> None:
    shop = switched_on(shop)
    await old_posts(shop, 1)
    await execute(shop.engine, "DROP TABLE shares")

    outcome = await shop.run(cleanup_old_posts, CleanupOldPosts())

    assert isinstance(outcome, Skip)
    assert "no table public.shares: name it in TAILRACE_BACKEND__TABLES" in outcome.reason
