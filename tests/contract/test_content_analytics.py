"""Content analytics: what a day's rows say, one row a day, comparisons that fit whatever the order."""

from collections import Counter
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from agents.generate_content_analytics import ContentAnalytics, generate_content_analytics
from schemas.tables_data import content_analytics, content_analytics_hours
from streams.claims import LostClaim
from streams.task import Dead, Done, Skip
from tests.data_ground import done, empty, execute, insert, odd_backend
from tests.day_reference import BACKENDS, BEGIN, DAY, YESTERDAY, Rows, actors, expected, fill, of_the_day
from tests.one_run import NOON, Workshop


async def result(shop: Workshop, day: date | None = None, cause: str = "1", *, dry_run: bool = False) -> dict[str, Any]:
    return await done(shop, generate_content_analytics, ContentAnalytics(day, dry_run), cause)


async def metrics(shop: Workshop) -> dict[date, dict[str, Any]]:
    return {row["day"]: row["metrics"] for row in await shop.rows(content_analytics)}


async def hours(shop: Workshop) -> list[dict[str, Any]]:
    return [row["metrics"] for row in await shop.rows(content_analytics_hours)]


@pytest.mark.parametrize("keys", ["bigint", "uuid"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=BACKENDS)
async def test_a_day_is_what_a_count_in_python_says(shop: Workshop, keys: str, rows: Rows) -> None:
    shop = await odd_backend(shop) if keys == "uuid" else shop
    await empty(shop)
    named = await fill(shop, rows)

    await result(shop)

    assert await metrics(shop) == {YESTERDAY: expected(rows, named)}
    found = await hours(shop)
    active = Counter(hour for _, hour in set(actors(rows)))
    assert [hour["active_users"] for hour in found] == [active[hour] for hour in range(24)]
    assert sum(hour["likes"] for hour in found) == len(of_the_day(rows["likes"]))
    assert sum(hour["posts"] for hour in found[:1]) == sum(
        row["created_at"] < BEGIN + timedelta(hours=1) for row in of_the_day(rows["posts"])
    )


async def test_days_go_by_utc_whatever_the_time_zone_of_the_database(shop: Workshop) -> None:
    zone = f"ALTER DATABASE {shop.engine.url.database} SET timezone = 'Pacific/Kiritimati'"
    await execute(shop.engine, zone)
    await shop.engine.dispose()
    await shop.add_user(1, date_joined=BEGIN - DAY)
    moments = (BEGIN - timedelta(seconds=1), BEGIN, BEGIN + DAY - timedelta(seconds=1), BEGIN + DAY)
    await insert(shop, shop.backend.posts, [{"author_id": 1, "created_at": moment} for moment in moments])

    found = await result(shop)

    assert found["posts"] == 2
    assert [hour for hour, counts in enumerate(await hours(shop)) if counts["posts"]] == [0, 23]


async def test_a_day_on_which_nothing_happened_has_a_row_that_says_so(shop: Workshop) -> None:
    found = await result(shop)

    assert (found["day"], found["posts"], found["active_users"]) == (YESTERDAY, 0, 0)
    assert (await metrics(shop))[YESTERDAY]["totals"]["users"] == 0
    assert len(await hours(shop)) == 24


async def test_a_day_has_one_row_however_often_it_is_counted_and_an_unchanged_one_is_not_written(
    shop: Workshop,
) -> None:
    await result(shop)
    before = await shop.rows(content_analytics)

    await replace(shop, now=lambda: NOON + timedelta(hours=1)).run(
        generate_content_analytics, ContentAnalytics(YESTERDAY), cause="2"
    )

    assert await shop.rows(content_analytics) == before


async def test_a_dry_run_says_what_it_found_and_writes_nothing(shop: Workshop) -> None:
    assert (await result(shop, dry_run=True))["posts"] == 0

    assert await metrics(shop) == {}


@pytest.mark.parametrize("day", [NOON.date(), NOON.date() + DAY])
async def test_a_day_that_is_not_over_is_not_counted(shop: Workshop, day: date) -> None:
    outcome = await shop.run(generate_content_analytics, ContentAnalytics(day))

    assert isinstance(outcome, Skip)
    assert f"{day} is not over yet by UTC: count it from {day + DAY}T00:00Z on" in outcome.reason
    assert await metrics(shop) == {}


@pytest.mark.parametrize("order", [1, -1], ids=["forwards", "backwards"])
async def test_days_can_be_counted_in_any_order_and_compare_the_same(shop: Workshop, order: int) -> None:
    days = [YESTERDAY - n * DAY for n in range(9, -1, -1)]
    await shop.add_user(1, date_joined=NOON - 100 * DAY)
    posts = [
        {"author_id": 1, "created_at": datetime.combine(day, time(10), NOON.tzinfo)}
        for day in days
        for _ in range(30 if day == YESTERDAY else 3)
    ]
    await insert(shop, shop.backend.posts, posts)

    for number, day in enumerate(days[::order]):
        await result(shop, day, cause=str(number))

    found = await metrics(shop)
    assert found[YESTERDAY]["changes"]["posts"] == {"before": 3, "change": 27, "percent": 900.0}
    assert found[days[0]]["changes"] == {}
    assert found[YESTERDAY]["outliers"] == [
        {"metric": "posts", "value": 30, "usual": 3, "score": 13.5},
        {"metric": "posts", "value": 30, "usual": 3, "score": 13.5, "hour": 10},
    ]
    assert [found[day]["outliers"] for day in days[:-1]] == [[]] * 9


async def test_without_optional_tables_the_rest_is_counted_and_the_outcome_says_so(shop: Workshop) -> None:
    dropped = ("comments", "likes", "shares", "follows", "post_hashtags", "hashtags")
    await execute(shop.engine, *(f"DROP TABLE {table} CASCADE" for table in dropped))

    found = await result(shop)

    assert sorted(found["without"]) == sorted(dropped)
    assert {"posts", "new_users", "active_users"} < set(found)
    assert not {"likes", "comments"} & set(found)
    assert "top_posts" not in (await metrics(shop))[YESTERDAY]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("ALTER TABLE users RENAME TO people", "the backend has no table public.users: name it in TAILRACE_BACKEND__T"),
        ("ALTER TABLE likes RENAME created_at TO liked_at", 'TAILRACE_BACKEND__COLUMNS, e.g. {"likes.created_at": "ot'),
    ],
)
async def test_what_cannot_be_counted_is_dead_and_names_the_setting(shop: Workshop, change: str, reason: str) -> None:
    await execute(shop.engine, change)

    outcome = await shop.run(generate_content_analytics, ContentAnalytics())

    assert isinstance(outcome, Dead)
    assert reason in outcome.reason


async def test_a_worker_that_was_taken_for_dead_writes_no_day(shop: Workshop) -> None:
    hasty = shop.with_leases_of(timedelta(0))
    run = await hasty.claim(generate_content_analytics, ContentAnalytics())
    outcome = await hasty.perform(run)
    await shop.as_worker("w2").claim(generate_content_analytics, ContentAnalytics())

    assert isinstance(outcome, Done) and outcome.effect
    async with shop.engine.connect() as connection:
        with pytest.raises(LostClaim):
            await outcome.effect(connection)
    assert await hasty.record(run, outcome) == "duplicate"
    assert await metrics(shop) == {}


async def test_likes_are_those_of_posts_only_where_the_backend_says_what_is_liked(shop: Workshop) -> None:
    await execute(shop.engine, "DROP TABLE django_content_type CASCADE")
    likes = shop.backend.likes
    await shop.add_user(1)
    await shop.add(shop.backend.posts, id=1, author_id=1, created_at=BEGIN)
    await insert(shop, likes, [{"user_id": 1, "object_id": 1, "content_type_id": 1, "created_at": BEGIN}])

    found = await result(shop)

    assert (found["likes"], found["without"]) == (1, ["django_content_type"])
    assert (await metrics(shop))[YESTERDAY]["top_posts"] == []
