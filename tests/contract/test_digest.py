"""Who gets a digest, and what is in it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agents.send_digest import Digest, send_digest
from agents.send_welcome_email import WelcomeEmail, send_welcome_email
from schemas.tables import mail_deliveries
from schemas.tables_mail import suppressions
from streams.devstack.smtp_sink import DROP, accept, answering
from streams.task import Dead, Done, Outcome, Retry, Skip
from tests.digests import WEEK, a_reader_with_a_post, add_post, add_reader, begin_week, change, follow, give_column
from tests.one_run import NOON, Workshop


async def read(shop: Workshop, user_id: Any = 7, attempt: int = 1, cause: str = "1") -> Outcome:
    await begin_week(shop)
    return await shop.run(send_digest, Digest(user_id, WEEK), attempt=attempt, cause=cause)


async def shown(shop: Workshop) -> str:
    (mail,) = shop.sink.mails()
    part = mail.get_body(("plain",))
    assert part
    return str(part.get_content())


async def test_posts_of_followed_authors_come_first_and_ten_in_all(shop: Workshop) -> None:
    await a_reader_with_a_post(shop)
    await shop.add_user(9)
    await follow(shop, 7, 9)
    for number in range(10, 24):
        await add_post(shop, number, likes_count=number)
    await add_post(shop, 99, 9)

    outcome = await read(shop)

    assert isinstance(outcome, Done)
    lines = [line.strip() for line in (await shown(shop)).splitlines()]
    posts = [line for line in lines if line.startswith("post ")]
    assert posts == ["post 99", *(f"post {number}" for number in range(23, 14, -1))]
    assert lines.index("From people you follow") < lines.index("post 99") < lines.index("From everybody")


@pytest.mark.parametrize(
    "values",
    [
        {"visibility": "followers"},
        {"visibility": "private"},
        {"author_id": 7},
        {"author_id": 9},
        {"created_at": NOON - timedelta(days=8)},
    ],
    ids=["followers", "private", "own", "inactive author", "old"],
)
async def test_a_reader_with_nothing_to_read_gets_no_mail(shop: Workshop, values: dict[str, Any]) -> None:
    await add_reader(shop, 7)
    await shop.add_user(8)
    await shop.add_user(9, is_active=False)
    await follow(shop, 7, 9)
    await follow(shop, 7, 8)
    await add_post(shop, 1, **values)

    outcome = await read(shop)

    assert outcome == Skip("nothing was posted that user 7 could be shown")
    assert await shop.rows(mail_deliveries) == []


async def test_a_post_that_was_hidden_after_the_week_was_begun_is_not_shown(shop: Workshop) -> None:
    await a_reader_with_a_post(shop)
    await begin_week(shop)
    await change(shop, shop.backend.posts, 1, visibility="private")

    assert isinstance(await read(shop), Skip)


async def test_a_digest_goes_once_a_week_and_can_be_ended_with_one_click(shop: Workshop) -> None:
    await a_reader_with_a_post(shop)
    first = await read(shop)

    second = await read(shop, cause="2")

    (mail,) = shop.sink.mails()
    assert isinstance(first, Done) and isinstance(second, Skip)
    assert mail["List-Unsubscribe"].startswith("<https://network.example/unsubscribe/")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["List-Unsubscribe"].strip("<>") in await shown(shop)


async def test_a_digest_speaks_the_readers_language(shop: Workshop) -> None:
    await a_reader_with_a_post(shop)
    await give_column(shop, "locale", u7="fr-CA")

    await read(shop)

    (mail,) = shop.sink.mails()
    assert mail["Subject"] == "Votre semaine : Grace Hopper" and mail["Content-Language"] == "fr"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"is_active": False}, "user '7' is not active"),
        ({"last_login": NOON - timedelta(days=7, seconds=1)}, "and not within 7 days"),
        ({"last_login": None}, "was last here never"),
        ({"email": ""}, "has no mail address"),
    ],
)
async def test_who_is_no_reader_any_more_gets_none(shop: Workshop, values: dict[str, Any], reason: str) -> None:
    await a_reader_with_a_post(shop)
    await change(shop, shop.backend.users, 7, **values)

    outcome = await read(shop)

    assert isinstance(outcome, Skip) and reason in outcome.reason


async def test_a_reader_who_is_gone_is_skipped(shop: Workshop) -> None:
    assert await read(shop, 70) == Skip("user 70 does not exist")


async def test_who_has_unsubscribed_since_is_suppressed(shop: Workshop) -> None:
    await a_reader_with_a_post(shop)
    gone = {"kind": "user", "value": "7", "mailing_list": "digest", "reason": "unsubscribed"}
    await shop.add(suppressions, **gone)

    outcome = await read(shop)

    (row,) = await shop.rows(mail_deliveries)
    assert outcome == Skip("suppressed: the user has unsubscribed")
    assert (row["state"], row["error"], shop.sink.mails()) == ("suppressed", "the user has unsubscribed", [])


async def test_a_digest_in_doubt_is_held_and_one_that_was_refused_for_now_goes_later(shop: Workshop) -> None:
    await a_reader_with_a_post(shop)
    shop.sink.policy = answering("451 later", at="RCPT")
    refused = await read(shop)
    shop.sink.policy = answering(DROP, at="ANSWER")
    lost = await read(shop, attempt=2)
    shop.sink.policy = accept

    held = await read(shop, attempt=3)

    (row,) = await shop.rows(mail_deliveries)
    assert isinstance(refused, Retry) and isinstance(lost, Retry)
    assert isinstance(held, Skip) and held.reason.startswith("held")
    assert (row["state"], row["uncertain"], len(shop.sink.mails())) == ("uncertain", 1, 1)


async def test_without_a_secret_no_digest_goes_that_nobody_could_end(shop: Workshop) -> None:
    await a_reader_with_a_post(shop)
    mails = shop.settings.mail.model_copy(update={"secret": None})
    bare = replace(shop, settings=shop.settings.model_copy(update={"mail": mails}))

    outcome = await read(bare)

    assert isinstance(outcome, Dead) and "TAILRACE_MAIL__SECRET" in outcome.reason


async def test_a_welcome_goes_to_who_unsubscribed_and_not_to_who_complained(shop: Workshop) -> None:
    await shop.add_user(7)
    await shop.add_user(8)
    gone = {"kind": "user", "value": "7", "mailing_list": "digest", "reason": "unsubscribed"}
    cross = {"kind": "address", "value": "u8@example.org", "mailing_list": "*", "reason": "complained"}
    await shop.add(suppressions, **gone)
    await shop.add(suppressions, **cross)

    welcomed, left = [await shop.run(send_welcome_email, WelcomeEmail(who), cause=str(who)) for who in (7, 8)]

    assert isinstance(welcomed, Done)
    assert left == Skip("suppressed: the address has complained")
