"""The counters of users: what the rows say, whatever became of the run."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from agents.update_user_statistics import UserStatistics, update_user_statistics
from streams.claims import LostClaim
from streams.task import Dead, Done, Skip
from tests.data_ground import column, crowd, done, empty, execute, insert, keys_of, met_half_way, odd_backend, person
from tests.one_run import Workshop

ALL = UserStatistics()
Pairs = set[tuple[int, int]]


async def counters(shop: Workshop) -> list[tuple[Any, ...]]:
    users = shop.backend.users.c
    return await column(shop, users.id, users.followers_count, users.following_count, users.posts_count)


async def result(shop: Workshop, cause: str = "1", args: UserStatistics = ALL) -> dict[str, Any]:
    return await done(shop, update_user_statistics, args, cause)


async def fill(shop: Workshop, was: list[int], follows: Pairs, authors: list[int]) -> list[Any]:
    """Users with these numbers of followers, who follow and have posted; their keys."""
    backend, keys = shop.backend, keys_of(shop.backend, len(was))
    await insert(shop, backend.users, [person(n, keys[n], followers_count=count) for n, count in enumerate(was)])
    pairs = [{"follower_id": keys[one], "following_id": keys[other]} for one, other in sorted(follows)]
    await insert(shop, backend.follows, pairs)
    await insert(shop, backend.posts, [{"author_id": keys[author]} for author in authors])
    return keys


def expected(keys: list[Any], follows: Pairs, authors: list[int]) -> list[tuple[Any, ...]]:
    """In plain Python."""
    followers, following = Counter(other for _, other in follows), Counter(one for one, _ in follows)
    posts = Counter(authors)
    return sorted((key, followers[n], following[n], posts[n]) for n, key in enumerate(keys))


CASES = st.integers(1, 8).flatmap(
    lambda users: st.tuples(
        st.lists(st.integers(0, 3), min_size=users, max_size=users),
        st.sets(st.tuples(st.integers(0, users - 1), st.integers(0, users - 1)), max_size=12),
        st.lists(st.integers(0, users - 1), max_size=8),
    )
)


@pytest.mark.parametrize("keys", ["bigint", "uuid"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=CASES)
async def test_counters_are_those_of_a_count_in_python(
    shop: Workshop, keys: str, case: tuple[list[int], Pairs, list[int]]
) -> None:
    shop = await odd_backend(shop) if keys == "uuid" else shop
    await empty(shop)
    was, follows, authors = case
    named = await fill(shop, was, follows, authors)
    truth = expected(named, follows, authors)
    before = sorted((key, count, 0, 0) for key, count in zip(named, was, strict=True))
    wrong = len(set(truth) - set(before))

    found = await result(shop)

    assert await counters(shop) == truth
    assert found == {"scanned": len(was), "wrong": wrong, "updated": wrong, "left": 0}


async def test_a_second_run_writes_nothing(shop: Workshop) -> None:
    await fill(shop, [3, 0], {(0, 1)}, [0, 0])
    await result(shop)
    rows = await column(shop, shop.backend.users.c.id, text("xmin::text"), text("ctid::text"))

    again = await result(shop, cause="2")

    assert again == {"scanned": 2, "wrong": 0, "updated": 0, "left": 0}
    assert await column(shop, shop.backend.users.c.id, text("xmin::text"), text("ctid::text")) == rows


async def test_without_users_there_is_nothing_to_do(shop: Workshop) -> None:
    assert await result(shop) == {"scanned": 0, "wrong": 0, "updated": 0, "left": 0}


async def test_a_dry_run_counts_and_leaves_all_as_it_is(shop: Workshop) -> None:
    await fill(shop, [3, 0], {(0, 1)}, [])
    before = await counters(shop)

    found = await result(shop, args=UserStatistics(dry_run=True))

    assert found == {"scanned": 2, "wrong": 2, "updated": 0, "left": 0}
    assert await counters(shop) == before


async def test_a_run_that_is_killed_half_way_is_finished_by_another_worker(shop: Workshop) -> None:
    await crowd(shop.engine, 9_000)

    async with met_half_way(shop, update_user_statistics, ALL) as performing:
        performing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await performing
    written = sum(followers == 0 for _, followers, _, _ in await counters(shop))
    outcome = await shop.as_worker("w2").run(update_user_statistics, ALL)

    assert 0 < written < 9_000
    assert isinstance(outcome, Done)
    assert outcome.result == {"scanned": 9_000, "wrong": 9_000, "updated": 9_000, "left": 0}
    assert not any(followers for _, followers, _, _ in await counters(shop))
    async with shop.engine.connect() as connection:
        assert (await connection.execute(text("SELECT 1 FROM tailrace.task_progress"))).all() == []


async def test_a_worker_that_was_taken_for_dead_does_no_further_range(shop: Workshop) -> None:
    await crowd(shop.engine, 9_000)

    async with met_half_way(shop, update_user_statistics, ALL) as performing:
        run = await shop.as_worker("w2").claim(update_user_statistics, ALL)
    after = sum(followers == 0 for _, followers, _, _ in await counters(shop))

    with pytest.raises(LostClaim):
        await performing
    assert after == 2_000
    outcome = await shop.as_worker("w2").perform(run)
    assert isinstance(outcome, Done)
    assert outcome.result["updated"] == 9_000


async def test_a_failure_half_way_is_gone_on_from_by_the_next_attempt(shop: Workshop) -> None:
    await crowd(shop.engine, 9_000)
    fails = "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$"
    trigger = "CREATE TRIGGER t BEFORE UPDATE ON tailrace.task_progress FOR EACH ROW EXECUTE FUNCTION fails()"
    await execute(shop.engine, fails, trigger)
    run = await shop.claim(update_user_statistics, ALL)

    with pytest.raises(Exception, match="disk full"):
        await shop.perform(run)
    await execute(shop.engine, "DROP TRIGGER t ON tailrace.task_progress")
    outcome = await shop.perform(run)

    assert isinstance(outcome, Done)
    assert (outcome.result["scanned"], outcome.result["updated"]) == (9_000, 9_000)


async def test_rows_that_the_backend_has_locked_or_changes_are_left_and_never_waited_for(shop: Workshop) -> None:
    await fill(shop, [5, 5, 5], set(), [])

    async with shop.engine.begin() as backend:
        await backend.execute(text("UPDATE users SET followers_count = followers_count + 1 WHERE id = 2"))
        async with asyncio.timeout(20):
            found = await result(shop)

    assert (found["wrong"], found["updated"], found["left"]) == (3, 2, 1)
    assert [row[1] for row in await counters(shop)] == [0, 6, 0]


async def test_without_the_table_of_follows_only_posts_are_counted_and_the_outcome_says_so(shop: Workshop) -> None:
    await fill(shop, [5], set(), [0, 0])
    await execute(shop.engine, "DROP TABLE follows")

    found = await result(shop)

    assert found["without"] == ["follows"]
    assert await counters(shop) == [(1, 5, 0, 2)]


async def test_a_backend_without_follows_and_posts_has_nothing_to_count(shop: Workshop) -> None:
    await execute(shop.engine, "DROP TABLE follows", "DROP TABLE posts CASCADE")

    outcome = await shop.run(update_user_statistics, ALL)

    assert outcome == Skip("the backend has neither follows nor posts: there is nothing to count")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("ALTER TABLE users RENAME TO people", 'no table public.users: name it in TAILRACE_BACKEND__TABLES, e.g. {"us'),
        ("ALTER TABLE users DROP posts_count", 'no column posts_count: name it in TAILRACE_BACKEND__COLUMNS, e.g. {"'),
        ("ALTER TABLE follows RENAME following_id TO x", "table public.follows has no column following_id"),
    ],
)
async def test_what_cannot_be_done_is_dead_and_names_the_setting(shop: Workshop, change: str, reason: str) -> None:
    await execute(shop.engine, change)

    outcome = await shop.run(update_user_statistics, ALL)

    assert isinstance(outcome, Dead)
    assert reason in outcome.reason
