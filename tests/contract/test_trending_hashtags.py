"""``update_trending_hashtags``: a snapshot an hour for ever, equal to the live answer, and the backend's columns."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from agents.update_trending_hashtags import UNTIL_COUNTED, TrendingHashtags, update_trending_hashtags
from schemas.tables import task_runs
from schemas.tables_trends import trending_snapshot_hours, trending_snapshots
from streams.task import Dead, Done, Outcome, Retry, Skip
from streams.trending import blocked
from streams.trending.past_snapshots import NoSnapshot, one_hour
from streams.trending.view import View
from tests.data_ground import execute
from tests.one_run import NOON, Workshop
from tests.processes import run as tailrace
from tests.trending import Stored

LAST_MINUTE = int(NOON.timestamp()) // 60 - 1
HOUR = timedelta(hours=1)
COLUMNS = "ALTER TABLE hashtags ADD is_trending boolean, ADD trending_score numeric(12, 2) NOT NULL DEFAULT 0"


async def run(shop: Workshop, args: TrendingHashtags = TrendingHashtags(), cause: str = "1") -> Outcome:  # noqa: B008
    return await shop.run(update_trending_hashtags, args, cause=cause)


async def snapshots(shop: Workshop) -> list[dict[str, Any]]:
    return await shop.rows(trending_snapshots)


async def hashtags(shop: Workshop) -> list[tuple[Any, ...]]:
    async with shop.engine.connect() as connection:
        query = text("SELECT name, is_trending, trending_score FROM hashtags ORDER BY name")
        return [(row.name, row.is_trending, float(row.trending_score)) for row in await connection.execute(query)]


async def add_hashtags(shop: Workshop, *names: str) -> None:
    for name in names:
        await shop.add(shop.backend.hashtags, name=name, created_at=NOON)


async def test_the_snapshot_is_what_a_server_answers_at_the_end_of_the_hour(shop: Workshop) -> None:
    stored = Stored(shop.engine)
    await stored.add({LAST_MINUTE: {"sunset": 11, "rain": 9}, LAST_MINUTE - 24 * 60: {"rain": 21}}, counted_until=NOON)
    await stored.add({LAST_MINUTE - 60: {"earlier": 50}, LAST_MINUTE + 1: {"later": 99}}, counted_until=NOON)

    outcome = await run(shop)

    view = View(shop.engine, now=lambda: NOON - timedelta(seconds=1))
    await view.refresh()
    live = view.trending("1h", 100)
    assert isinstance(outcome, Done)
    assert [
        (s["rank"], s["tag"], s["uses"], s["observed"], s["baseline"], s["peak"], s["age_s"], s["score"])
        for s in await snapshots(shop)
    ] == [
        (rank, t.tag, t.uses, t.observed, t.baseline, t.peak, t.age, t.score)
        for rank, t in enumerate(live.trends, start=1)
    ]
    assert [trend.tag for trend in live.trends] == ["earlier", "sunset", "rain"]
    (hour,) = await shop.rows(trending_snapshot_hours)
    assert (hour["as_of"], hour["complete"], hour["tags"]) == (NOON, True, 3)


async def test_an_hour_has_one_snapshot_for_ever_whatever_is_counted_later(shop: Workshop) -> None:
    stored = Stored(shop.engine)
    await stored.add({LAST_MINUTE: {"sunset": 11}}, counted_until=NOON)
    await run(shop)
    once = await snapshots(shop)
    await stored.add({LAST_MINUTE: {"late": 50}}, counted_until=NOON + HOUR)

    again = await run(shop, cause="2")

    assert isinstance(again, Skip) and "is there already" in again.reason
    assert await snapshots(shop) == once


async def test_two_runs_that_look_at_the_same_time_keep_one_snapshot(shop: Workshop) -> None:
    await Stored(shop.engine).add({LAST_MINUTE: {"sunset": 11}}, counted_until=NOON)
    first = await shop.claim(update_trending_hashtags, TrendingHashtags(), cause="1")
    second = await shop.claim(update_trending_hashtags, TrendingHashtags(), cause="2")
    outcomes = [await shop.perform(first), await shop.perform(second)]

    states = [await shop.record(first, outcomes[0]), await shop.record(second, outcomes[1])]

    assert states == ["done", "done"]
    assert [(row["rank"], row["tag"]) for row in await snapshots(shop)] == [(1, "sunset")]
    kept = {row["outcome"]["kept"] for row in await shop.rows(task_runs)}
    assert kept == {True, False}


async def test_columns_that_the_backend_has_are_filled_and_cleared_and_nothing_else_is_written(shop: Workshop) -> None:
    await execute(shop.engine, COLUMNS)
    await add_hashtags(shop, "#Sunset", "old", "STRASSE", "Straße", "other")
    await execute(shop.engine, "UPDATE hashtags SET is_trending = true, trending_score = 7 WHERE name = 'old'")
    stored = Stored(shop.engine)
    await stored.add({LAST_MINUTE: {"sunset": 11, "strasse": 6}}, counted_until=NOON + HOUR)

    first = await run(shop)
    marked = await hashtags(shop)
    await run(shop, TrendingHashtags(hour=NOON - HOUR), cause="2")
    (done, past) = await shop.rows(task_runs)

    assert isinstance(first, Done)
    assert marked == await hashtags(shop)
    assert marked == [
        ("#Sunset", True, 100.0),
        ("STRASSE", True, 25.0),
        ("Straße", True, 25.0),
        ("old", False, 0.0),
        ("other", None, 0.0),
    ]
    counts = {tuple(sorted(row["outcome"])): row["outcome"].get("marked") for row in (done, past)}
    assert sorted(counts.values(), key=str) == [4, None]


async def test_a_row_that_the_backend_holds_is_passed_over_and_told(shop: Workshop) -> None:
    await execute(shop.engine, COLUMNS)
    await add_hashtags(shop, "sunset", "rain")
    await Stored(shop.engine).add({LAST_MINUTE: {"sunset": 11, "rain": 6}}, counted_until=NOON)

    async with shop.engine.begin() as connection:
        await connection.execute(text("UPDATE hashtags SET posts_count = 1 WHERE name = 'rain'"))
        await run(shop)

    (done,) = await shop.rows(task_runs)
    assert (done["outcome"]["marked"], done["outcome"]["locked"]) == (1, 1)
    assert await hashtags(shop) == [("rain", None, 0.0), ("sunset", True, 100.0)]


@pytest.mark.parametrize(
    "missing", ["ALTER TABLE hashtags ADD is_trending boolean", "DROP TABLE hashtags CASCADE"], ids=["one", "all"]
)
async def test_a_backend_without_the_columns_has_its_snapshots_all_the_same(shop: Workshop, missing: str) -> None:
    await execute(shop.engine, missing)
    await Stored(shop.engine).add({LAST_MINUTE: {"sunset": 11}}, counted_until=NOON)

    outcome = await run(shop)

    assert isinstance(outcome, Done)
    assert len(await snapshots(shop)) == 1


async def test_counts_that_do_not_reach_the_hour_are_waited_for_and_then_said_to_be_incomplete(shop: Workshop) -> None:
    await Stored(shop.engine).add({LAST_MINUTE: {"sunset": 11}}, counted_until=NOON - timedelta(minutes=3))
    early = await shop.claim(update_trending_hashtags, TrendingHashtags(), cause="1")

    waited = await shop.perform(early)
    last = await shop.run(update_trending_hashtags, TrendingHashtags(), cause="2", attempt=UNTIL_COUNTED.max_attempts)

    assert isinstance(waited, Retry) and "counted up to" in waited.reason
    assert isinstance(last, Done)
    assert not (await shop.rows(trending_snapshot_hours))[0]["complete"]


async def test_nothing_counted_is_nothing_to_do_and_nothing_trending_is_a_snapshot(shop: Workshop) -> None:
    nothing = await run(shop)
    await Stored(shop.engine).add({LAST_MINUTE: {"once": 1}}, counted_until=NOON)

    quiet = await run(shop, cause="2")

    assert nothing == Skip("nothing has been counted yet")
    assert isinstance(quiet, Done)
    assert [row["tags"] for row in await shop.rows(trending_snapshot_hours)] == [0]


async def test_a_past_hour_can_be_looked_at_by_hand_and_a_dry_run_keeps_nothing(shop: Workshop) -> None:
    past = NOON - timedelta(days=6)
    minute = int(past.timestamp()) // 60 - 1
    await Stored(shop.engine).add({minute: {"sunset": 11}}, counted_until=NOON)
    zone = past.astimezone(datetime.strptime("+0530", "%z").tzinfo)

    dry = await run(shop, TrendingHashtags(hour=zone, dry_run=True))
    kept = await snapshots(shop)
    await run(shop, TrendingHashtags(hour=zone), cause="2")

    assert isinstance(dry, Done) and dry.result["top"] == [{"tag": "sunset", "uses": 11, "score": 100.0}]
    assert kept == []
    assert [(row["as_of"], row["tag"]) for row in await snapshots(shop)] == [(past, "sunset")]


@pytest.mark.parametrize(
    ("hour", "reason"),
    [
        (NOON - timedelta(minutes=30), "is no full hour of UTC"),
        (NOON + timedelta(days=1), "has not ended yet"),
        (NOON - timedelta(days=30), "is too long ago"),
    ],
)
async def test_an_hour_that_cannot_be_looked_at_is_dead_with_its_reason(
    shop: Workshop, hour: datetime, reason: str
) -> None:
    outcome = await run(shop, TrendingHashtags(hour=hour))

    assert isinstance(outcome, Dead) and reason in outcome.reason


async def test_a_blocked_tag_is_in_no_snapshot_and_old_snapshots_are_deleted(shop: Workshop) -> None:
    await Stored(shop.engine).add({LAST_MINUTE: {"bad": 50, "good": 9}}, counted_until=NOON)
    old = {"as_of": datetime(2020, 1, 1, tzinfo=UTC), "complete": True, "generation": 1, "counted_until": NOON}
    async with shop.engine.begin() as connection:
        await blocked.block(connection, "bad", None)
        await connection.execute(trending_snapshot_hours.insert().values(**old, tags=0))

    await run(shop)

    assert [row["tag"] for row in await snapshots(shop)] == ["good"]
    assert [row["as_of"] for row in await shop.rows(trending_snapshot_hours)] == [NOON]


async def test_a_run_that_was_killed_half_way_has_left_nothing(shop: Workshop) -> None:
    await Stored(shop.engine).add({LAST_MINUTE: {"sunset": 11}}, counted_until=NOON)
    lost = shop.with_leases_of(timedelta(0))
    run_ = await lost.claim(update_trending_hashtags, TrendingHashtags())
    outcome = await lost.perform(run_)
    assert isinstance(outcome, Done) and outcome.effect

    async with shop.engine.connect() as connection:
        await outcome.effect(connection)  # and the worker dies before its COMMIT

    assert await snapshots(shop) == []
    await shop.as_worker("w2").run(update_trending_hashtags, TrendingHashtags())
    assert len(await snapshots(shop)) == 1


async def test_kept_hours_are_listed_and_one_is_shown(shop: Workshop, environment: dict[str, str]) -> None:
    await Stored(shop.engine).add({LAST_MINUTE: {"sunset": 11}}, counted_until=NOON)
    await run(shop)

    listed = await tailrace("trends", "snapshots", environment=environment)
    shown = await tailrace("trends", "snapshots", "--at", NOON.isoformat(), "--json", environment=environment)
    with pytest.raises(NoSnapshot, match=r"there is no snapshot of .* takes it"):
        await one_hour(shop.engine, NOON - HOUR)

    assert "#sunset" in listed[1] and f"{NOON:%Y-%m-%d %H:%M}Z" in listed[1], listed
    (tag,) = json.loads(shown[1])["tags"]
    assert (tag["rank"], tag["tag"], tag["score"]) == (1, "sunset", 100)
