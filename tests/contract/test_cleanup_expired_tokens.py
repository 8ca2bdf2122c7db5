"""`cleanup_expired_tokens`: which sessions and tokens go, in batches, and what of the backend need not be there."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from agents.cleanup_expired_tokens import CleanupExpiredTokens, cleanup_expired_tokens
from streams.cleanup.batches import Batches
from streams.task import Done, Outcome, Skip
from tests.clean_up import LATELY, LONG_AGO, add_session, session_keys, session_of, values
from tests.data_ground import execute
from tests.one_run import NOON, Workshop

COUNTS: dict[str, int] = {
    "dry_run": False,
    "expired_sessions": 1,
    "inactive_sessions": 3,
    "undecodable_sessions": 2,
    "scanned_sessions": 8,
    "outstanding_tokens": 2,
    "blacklisted_tokens": 1,
    "refresh_tokens": 2,
}


async def a_backend_with_all_kinds(shop: Workshop) -> None:
    backend = shop.backend
    await shop.add_user(1, date_joined=LONG_AGO, last_login=LATELY)
    await shop.add_user(2, date_joined=LONG_AGO, last_login=LONG_AGO)
    await shop.add_user(3, last_login=LATELY, is_active=False)
    await shop.add_user(4, date_joined=LONG_AGO, last_login=LONG_AGO)
    await shop.add(backend.posts, id=1, author_id=4, created_at=LATELY)
    await add_session(shop, "expired", 1, days=-0.001)
    await add_session(shop, "active", 1)
    await add_session(shop, "inactive", 2)
    await add_session(shop, "deactivated", 3)
    await add_session(shop, "posts and never logs in", 4)
    await add_session(shop, "gone", 5)
    await add_session(shop, "nobody's")
    await add_session(shop, "undecodable", data="?")
    await add_session(shop, "no id", data=session_of({"_auth_user_id": "me"}, compressed=True))
    for number, hours in ((1, -1), (2, -1), (3, 1)):
        row = {"id": number, "jti": str(number), "expires_at": NOON + timedelta(hours=hours), "user_id": 1}
        await shop.add(backend.outstanding_tokens, **row)
    for number in (1, 3):
        await shop.add(backend.blacklisted_tokens, token_id=number)
    for token, created, revoked in (("old", LONG_AGO, None), ("revoked", NOON, NOON), ("good", LATELY, None)):
        await shop.add(backend.refresh_tokens, token=token, created=created, revoked=revoked, user_id=1)


async def everything(shop: Workshop) -> list[list[Any]]:
    backend = shop.backend
    return [
        await session_keys(shop),
        await values(shop, backend.outstanding_tokens.c.id),
        await values(shop, backend.blacklisted_tokens.c.token_id),
        await values(shop, backend.refresh_tokens.c.token),
    ]


LEFT = [["active", "no id", "nobody's", "posts and never logs in", "undecodable"], [3], [3], ["good"]]


async def run(shop: Workshop, *, dry_run: bool = False, cause: str = "1") -> Outcome:
    return await shop.run(cleanup_expired_tokens, CleanupExpiredTokens(dry_run), cause=cause)


async def test_what_nobody_can_or_should_use_goes_and_the_rest_stays(shop: Workshop) -> None:
    await a_backend_with_all_kinds(shop)

    outcome = await run(shop)

    assert outcome == Done(COUNTS)
    assert await everything(shop) == LEFT


async def test_a_dry_run_counts_the_same_and_deletes_nothing(shop: Workshop) -> None:
    await a_backend_with_all_kinds(shop)
    before = await everything(shop)

    outcome = await run(shop, dry_run=True)

    assert outcome == Done({**COUNTS, "dry_run": True, "scanned_sessions": 8})
    assert await everything(shop) == before


async def test_a_second_run_finds_nothing_to_do(shop: Workshop) -> None:
    await a_backend_with_all_kinds(shop)
    await run(shop)

    outcome = await run(shop, cause="2")

    assert isinstance(outcome, Done)
    nothing = dict.fromkeys(COUNTS, 0) | {"dry_run": False, "scanned_sessions": 5, "undecodable_sessions": 2}
    assert outcome.result == nothing


async def test_tables_that_a_backend_lacks_are_left_out(shop: Workshop) -> None:
    await add_session(shop, "expired", days=-1)
    await execute(
        shop.engine,
        "DROP TABLE token_blacklist_blacklistedtoken, token_blacklist_outstandingtoken, refresh_token_refreshtoken, "
        "users, shares CASCADE",
    )

    outcome = await run(shop)

    assert outcome == Done({"dry_run": False, "expired_sessions": 1})


async def test_a_backend_without_any_of_the_tables_has_nothing_to_do(shop: Workshop) -> None:
    await execute(
        shop.engine,
        "DROP TABLE token_blacklist_blacklistedtoken, token_blacklist_outstandingtoken, refresh_token_refreshtoken, "
        "django_session",
    )

    assert await run(shop) == Skip("the backend has none of the tables of sessions and tokens")


async def test_tokens_that_an_unknown_table_refers_to_stay(shop: Workshop) -> None:
    await a_backend_with_all_kinds(shop)
    await execute(
        shop.engine,
        "CREATE TABLE devices (token bigint REFERENCES token_blacklist_outstandingtoken)",
        "INSERT INTO devices VALUES (2)",
    )

    await run(shop)

    assert await values(shop, shop.backend.outstanding_tokens.c.id) == [2, 3]


async def test_a_kill_between_batches_keeps_what_was_done_and_the_next_run_goes_on(shop: Workshop) -> None:
    for number in range(10):
        await add_session(shop, f"s{number}", days=-1)
    await execute(
        shop.engine,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'killed'; END $$",
        "CREATE TRIGGER fail BEFORE DELETE ON django_session FOR EACH ROW WHEN (old.session_key = 's5') "
        "EXECUTE FUNCTION fail()",
    )
    sessions, batches = shop.backend.sessions, await small_batches(shop)

    with pytest.raises(DBAPIError, match="killed"):
        await batches.delete(sessions, sessions.c.expire_date < NOON)
    left = await session_keys(shop)
    await execute(shop.engine, "DROP TRIGGER fail ON django_session")
    outcome = await run(shop, cause="2")

    assert sorted(left) == ["s4", "s5", "s6", "s7", "s8", "s9"]
    assert isinstance(outcome, Done)
    assert outcome.result["expired_sessions"] == 6


async def small_batches(shop: Workshop) -> Batches:
    claimed = await shop.with_leases_of(timedelta(0)).claim(cleanup_expired_tokens, CleanupExpiredTokens())
    return Batches(shop.engine, claimed.claim, dry_run=False, size=4)


async def test_rows_that_somebody_has_locked_are_left_to_the_next_run(shop: Workshop) -> None:
    await add_session(shop, "a", days=-1)
    await add_session(shop, "b", days=-1)
    sessions = shop.backend.sessions

    async with shop.engine.begin() as connection:
        await connection.execute(sa.select(sessions).where(sessions.c.session_key == "a").with_for_update())
        outcome = await run(shop)

    assert isinstance(outcome, Done)
    assert outcome.result["expired_sessions"] == 1
    assert await session_keys(shop) == ["a"]


async def test_a_run_that_was_taken_over_deletes_no_more(shop: Workshop) -> None:
    slow = shop.with_leases_of(timedelta(0))
    claimed = await slow.claim(cleanup_expired_tokens, CleanupExpiredTokens())
    await shop.as_worker("w2").claim(cleanup_expired_tokens, CleanupExpiredTokens())
    await add_session(shop, "expired", days=-1)

    with pytest.raises(Exception, match="no longer w1's"):
        await slow.perform(claimed)

    assert await session_keys(shop) == ["expired"]
