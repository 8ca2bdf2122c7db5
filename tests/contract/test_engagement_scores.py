"""Engagement scores: the formula, only what has changed, whatever became of the run."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from agents.update_post_engagement_scores import EngagementScores, update_post_engagement_scores
from schemas.tables_data import post_engagement
from streams.claims import LostClaim
from streams.data.engagement import DAYS
from streams.task import Dead, Done
from tests.data_ground import (
    column,
    done,
    empty,
    execute,
    insert,
    keys_of,
    many_posts,
    met_half_way,
    odd_backend,
    person,
)
from tests.one_run import NOON, Workshop

ALL = EngagementScores()
DAY = timedelta(days=1)


async def result(shop: Workshop, cause: str = "1", args: EngagementScores = ALL) -> dict[str, Any]:
    return await done(shop, update_post_engagement_scores, args, cause)


async def scores(shop: Workshop) -> dict[str, float]:
    return {row["post_id"]: row["score"] for row in await shop.rows(post_engagement)}


async def post(shop: Workshop, keys: list[Any], posts: list[dict[str, Any]]) -> None:
    await insert(shop, shop.backend.users, [person(1, keys[0])])
    rows = [{"id": key, "author_id": keys[0], **row} for key, row in zip(keys, posts, strict=True)]
    await insert(shop, shop.backend.posts, rows)


def expected(row: dict[str, Any], now: datetime) -> float:
    """In plain Python."""
    weighted = 3 * row["likes_count"] + 5 * row["comments_count"] + 7 * row["shares_count"] + row["views_count"]
    days = max(0, (now - row["created_at"]) // DAY)
    return float(weighted * max(1, DAYS - days) / DAYS)


COUNTS = st.integers(0, 10**7)
POSTS = st.fixed_dictionaries(
    {
        "likes_count": COUNTS,
        "comments_count": COUNTS,
        "shares_count": COUNTS,
        "views_count": COUNTS,
        "created_at": st.one_of(
            st.integers(-1, 12).map(lambda days: NOON - days * DAY),
            st.timedeltas(-2 * DAY, 2000 * DAY).map(lambda age: NOON - age),
        ),
    }
)


@pytest.mark.parametrize("keys", ["bigint", "uuid"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(posts=st.lists(POSTS, min_size=1, max_size=12))
async def test_scores_are_those_of_the_formula_in_python(
    shop: Workshop, keys: str, posts: list[dict[str, Any]]
) -> None:
    shop = await odd_backend(shop) if keys == "uuid" else shop
    await empty(shop)
    named = keys_of(shop.backend, len(posts))
    await post(shop, named, posts)

    found = await result(shop)

    wanted = {str(key): expected(row, NOON) for key, row in zip(named, posts, strict=True)}
    assert await scores(shop) == wanted
    assert found == {"scanned": len(posts), "wrong": len(posts), "updated": len(posts), "gone": 0, "removed": 0}


@pytest.mark.parametrize("odd", [False, True], ids=["bigint", "uuid"])
async def test_only_scores_that_change_are_written_and_those_of_posts_that_are_gone_removed(
    shop: Workshop, odd: bool
) -> None:
    shop = await odd_backend(shop) if odd else shop
    keys = keys_of(shop.backend, 4)
    ages = [0, 8, 9, 30]
    await post(shop, keys, [{"likes_count": 10, "created_at": NOON - age * DAY} for age in ages])
    posts = shop.backend.posts
    await result(shop)

    again = await result(shop, cause="2")
    a_day_later = replace(shop, now=lambda: NOON + DAY)
    later = await result(a_day_later, cause="3")
    async with shop.engine.begin() as connection:
        await connection.execute(posts.delete().where(posts.c.id == keys[3]))
    last = await result(a_day_later, cause="4")

    assert again == {"scanned": 4, "wrong": 0, "updated": 0, "gone": 0, "removed": 0}
    assert later == {"scanned": 4, "wrong": 2, "updated": 2, "gone": 0, "removed": 0}
    assert last == {"scanned": 3, "wrong": 0, "updated": 0, "gone": 1, "removed": 1}
    rows = {row["post_id"]: (row["score"], row["computed_at"]) for row in await shop.rows(post_engagement)}
    assert rows[str(keys[0])] == (27.0, NOON + DAY)
    assert rows[str(keys[2])] == (3.0, NOON)
    assert str(keys[3]) not in rows


@pytest.mark.parametrize("kind", ["double precision", "real", "numeric(12,1)", "integer"])
async def test_the_backends_own_column_is_filled_in_its_own_type_and_then_left_alone(shop: Workshop, kind: str) -> None:
    await execute(shop.engine, f"ALTER TABLE posts ADD engagement_score {kind}")
    await post(shop, [1, 2], [{"views_count": 7, "created_at": NOON - age * DAY} for age in (9, 0)])

    first = await result(shop)
    second = await result(shop, cause="2")

    assert (first["unfilled"], first["filled"]) == (2, 2)
    assert (second["unfilled"], second["filled"]) == (0, 0)
    (_, old), (_, new) = await column(shop, shop.backend.posts.c.id, text("engagement_score::float8"))
    assert (old, new) == (pytest.approx(1.0 if kind == "integer" else 0.7), 7.0)


async def test_without_posts_there_is_nothing_to_do(shop: Workshop) -> None:
    assert await result(shop) == {"scanned": 0, "wrong": 0, "updated": 0, "gone": 0, "removed": 0}


async def test_a_dry_run_can_look_at_another_time_and_writes_nothing(shop: Workshop) -> None:
    await post(shop, [1, 2], [{"likes_count": 10, "created_at": NOON - age * DAY} for age in (0, 30)])
    await result(shop)
    before = await scores(shop)

    args = EngagementScores(as_of=NOON + 3 * DAY, dry_run=True)
    found = await result(shop, cause="2", args=args)

    assert found == {"scanned": 2, "wrong": 1, "updated": 0, "gone": 0, "removed": 0}
    assert await scores(shop) == before


async def test_a_run_that_is_killed_half_way_is_finished_by_another_worker_as_of_its_beginning(shop: Workshop) -> None:
    await many_posts(shop.engine, 9_000)

    async with met_half_way(shop, update_post_engagement_scores, ALL) as performing:
        performing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await performing
    written = len(await scores(shop))
    tomorrow = replace(shop.as_worker("w2"), now=lambda: NOON + DAY)
    outcome = await tomorrow.run(update_post_engagement_scores, ALL)

    assert 0 < written < 9_000
    assert isinstance(outcome, Done)
    assert outcome.result == {"scanned": 9_000, "wrong": 9_000, "updated": 9_000, "gone": 0, "removed": 0}
    assert {row["computed_at"] for row in await shop.rows(post_engagement)} == {NOON}
    assert await result(shop, cause="2") == {"scanned": 9_000, "wrong": 0, "updated": 0, "gone": 0, "removed": 0}


async def test_a_worker_that_was_taken_for_dead_writes_no_further_score(shop: Workshop) -> None:
    await many_posts(shop.engine, 9_000)

    async with met_half_way(shop, update_post_engagement_scores, ALL) as performing:
        await shop.as_worker("w2").claim(update_post_engagement_scores, ALL)

    with pytest.raises(LostClaim):
        await performing
    assert len(await scores(shop)) == 2_000


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            "ALTER TABLE posts RENAME TO entries",
            "the backend has no table public.posts: name it in TAILRACE_BACKEND__T",
        ),
        ("ALTER TABLE posts RENAME views_count TO seen", 'TAILRACE_BACKEND__COLUMNS, e.g. {"posts.views_count": "othe'),
    ],
)
async def test_what_cannot_be_done_is_dead_and_names_the_setting(shop: Workshop, change: str, reason: str) -> None:
    await execute(shop.engine, change)

    outcome = await shop.run(update_post_engagement_scores, ALL)

    assert isinstance(outcome, Dead)
    assert reason in outcome.reason
