"""Whom a digest is ordered for, and when it is due."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.send_content_digest_email import ContentDigest, send_content_digest_email
from agents.send_digest import Digest, send_digest
from schemas.tables import mail_deliveries, outbox, task_runs
from schemas.tables_mail import suppressions
from streams.mail.digest_times import due, week_of, zone_of
from streams.task import Dead, Done, Outcome, Skip
from tests.data_ground import crowd, met_half_way, odd_backend
from tests.digests import WEEK, a_reader_with_a_post, add_post, add_reader, follow, give_column
from tests.one_run import NOON, Workshop

ALL = ContentDigest()


async def order(shop: Workshop, cause: str = "1") -> Outcome:
    return await shop.run(send_content_digest_email, ALL, cause=cause)


async def orders(shop: Workshop) -> list[dict[str, Any]]:
    return [row for row in await shop.rows(task_runs) if row["task"] == "send_digest"]


async def test_each_active_user_is_ordered_one_digest_for_the_week(shop: Workshop) -> None:
    await a_reader_with_a_post(shop)
    await add_reader(shop, 9, is_active=False)
    await add_reader(shop, 10, last_login=NOON - timedelta(days=8))
    await add_reader(shop, 11, last_login=None)
    await add_reader(shop, 12, email="")
    await add_reader(shop, 13)
    gone = {"kind": "user", "value": "13", "mailing_list": "digest", "reason": "unsubscribed"}
    await shop.add(suppressions, **gone)

    outcome = await order(shop)

    assert outcome == Done({"week": WEEK, "scanned": 7, "readers": 1, "ordered": 1}, effect=outcome.effect)  # type: ignore[union-attr]
    (run,) = await orders(shop)
    assert (run["args"], run["scheduled_for"]) == ({"user_id": "7", "week": WEEK}, due(WEEK, UTC))
    (waiting,) = await shop.rows(outbox)
    assert (waiting["topic"], waiting["due_at"]) == ("queue.emails", due(WEEK, UTC))


async def test_a_second_run_in_the_week_orders_only_who_has_none_yet(shop: Workshop) -> None:
    await a_reader_with_a_post(shop)
    await order(shop)
    await add_reader(shop, 9)

    again = await order(shop, cause="2")

    assert isinstance(again, Done) and again.result["ordered"] == 1
    assert [run["args"]["user_id"] for run in await orders(shop)] == ["7", "9"]


async def test_a_run_that_was_killed_half_way_goes_on_behind_its_last_range(shop: Workshop) -> None:
    await crowd(shop.engine, 3_000)
    async with shop.engine.begin() as connection:
        await connection.execute(shop.backend.users.update().values(last_login=NOON, email="u@example.org"))

    async with met_half_way(shop, send_content_digest_email, ALL) as performing:
        performing.cancel()
        await asyncio.gather(performing, return_exceptions=True)
    before = len(await orders(shop))
    outcome = await shop.as_worker("w2").run(send_content_digest_email, ALL)

    assert isinstance(outcome, Done)
    assert outcome.result == {"week": WEEK, "scanned": 3_000, "readers": 3_000, "ordered": 3_000}
    assert 0 < before < 3_000 == len(await orders(shop)) == len(await shop.rows(outbox))


async def test_a_digest_is_due_on_monday_at_nine_where_the_reader_is(shop: Workshop) -> None:
    for user_id in (1, 2, 3, 4):
        await add_reader(shop, user_id)
    await give_column(shop, "time_zone", u1="America/New_York", u2="Pacific/Kiritimati", u3="no zone")

    await order(shop)

    nine = due(WEEK, UTC)
    dues = {run["args"]["user_id"]: run["scheduled_for"] - nine for run in await orders(shop)}
    later = timedelta(milliseconds=20)  # the second of one instant: 50 a second
    assert dues["1"] in (timedelta(hours=5), timedelta(hours=4))
    assert (dues["2"], dues["3"], dues["4"]) == (timedelta(hours=-14), timedelta(), later)


@pytest.mark.parametrize(
    ("zone", "week", "expected"),
    [
        ("Europe/Berlin", "2026-W13", "2026-03-23T08:00:00Z"),
        ("Europe/Berlin", "2026-W14", "2026-03-30T07:00:00Z"),
        ("America/New_York", "2026-W45", "2026-11-02T14:00:00Z"),
        ("Pacific/Kiritimati", "2026-W53", "2026-12-27T19:00:00Z"),
    ],
)
def test_nine_is_nine_on_both_sides_of_a_change_of_the_clocks(zone: str, week: str, expected: str) -> None:
    assert due(week, zone_of(zone)) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    ("instant", "week"),
    [
        ("2026-11-29T18:00:00Z", "2026-W49"),
        ("2026-11-29T08:59:00Z", "2026-W48"),
        ("2026-12-02T12:00:00Z", "2026-W49"),
        ("2027-01-03T18:00:00Z", "2027-W01"),
    ],
)
def test_a_run_on_sunday_evening_is_of_the_week_that_begins(instant: str, week: str) -> None:
    assert week_of(datetime.fromisoformat(instant)) == week


async def test_a_dry_run_counts_and_orders_nothing(shop: Workshop) -> None:
    await a_reader_with_a_post(shop)

    outcome = await shop.run(send_content_digest_email, ContentDigest(dry_run=True))

    assert isinstance(outcome, Done) and outcome.result == {"week": WEEK, "scanned": 2, "readers": 1}
    assert await orders(shop) == await shop.rows(outbox) == []


@pytest.mark.parametrize("week", ["2026-W54", "next", "2026-48"])
async def test_what_is_no_week_is_dead_with_an_example(shop: Workshop, week: str) -> None:
    outcome = await shop.run(send_content_digest_email, ContentDigest(week))

    assert outcome == Dead(f"{week!r} is no week; write one as 2026-W48")


async def test_a_week_that_is_over_is_skipped(shop: Workshop) -> None:
    outcome = await shop.run(send_content_digest_email, ContentDigest("2026-W10"))

    assert outcome == Skip("the week 2026-W10 is over")


async def test_keys_may_be_uuids_and_tables_have_other_names(shop: Workshop) -> None:
    reader, author = uuid.UUID(int=7), uuid.UUID(int=8)
    odd = await odd_backend(shop)
    await add_reader(odd, reader)
    await odd.add_user(author)  # type: ignore[arg-type]
    await add_post(odd, uuid.UUID(int=1), author)
    await follow(odd, reader, author)

    ordered = await order(odd)
    outcome = await odd.run(send_digest, Digest(str(reader), WEEK))

    assert isinstance(ordered, Done) and ordered.result["ordered"] == 1
    assert isinstance(outcome, Done), outcome
    assert (await odd.rows(mail_deliveries))[0]["user_id"] == str(reader)
