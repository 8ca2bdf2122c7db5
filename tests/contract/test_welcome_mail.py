"""Who is welcomed, who is not, and what the mail server's answers come to."""

import random
from datetime import timedelta
from typing import Any

import pytest

from agents.send_welcome_email import WelcomeEmail, send_welcome_email
from schemas.tables import mail_deliveries
from schemas.tables_mail import suppressions
from streams.devstack.smtp_sink import accept, answering
from streams.task import Dead, Done, Outcome, Retry, Skip
from tests.one_run import NOON, Workshop

ARGS = WelcomeEmail(7)


async def attempt(shop: Workshop, number: int = 1, cause: str = "1") -> Outcome:
    return await shop.run(send_welcome_email, ARGS, attempt=number, cause=cause)


async def delivery(shop: Workshop) -> dict[str, Any]:
    (row,) = await shop.rows(mail_deliveries)
    return row


async def test_a_new_user_is_welcomed_once(shop: Workshop) -> None:
    await shop.add_user(7, first_name="Ada", username="ada1815")

    outcome = await attempt(shop)

    (mail,) = shop.sink.mails()
    assert mail["Subject"] == "Welcome, Ada" and mail["Delivered-To"] == "u7@example.org"
    row = await delivery(shop)
    assert (row["state"], row["recipient"], row["uncertain"]) == ("sent", "u7@example.org", 0)
    assert row["message_id"] == mail["Message-ID"]
    assert isinstance(outcome, Done) and outcome.result == {"message_id": mail["Message-ID"]}


async def test_a_second_event_for_the_user_sends_nothing(shop: Workshop) -> None:
    await shop.add_user()
    await attempt(shop)

    outcome = await attempt(shop, cause="2")

    assert isinstance(outcome, Skip) and "was sent before" in outcome.reason
    assert len(shop.sink.mails()) == 1


async def test_who_joined_long_ago_is_not_welcomed(shop: Workshop) -> None:
    await shop.add_user(date_joined=NOON - timedelta(hours=48, seconds=1))

    outcome = await attempt(shop)

    assert isinstance(outcome, Skip) and "more than 2 days, 0:00:00 ago" in outcome.reason
    assert shop.sink.mails() == []


async def test_a_user_without_an_address_is_skipped(shop: Workshop) -> None:
    await shop.add_user(email="")

    outcome = await attempt(shop)

    assert outcome == Skip("user 7 has no mail address")


async def test_a_server_that_is_down_is_tried_again(shop: Workshop) -> None:
    await shop.add_user()
    await shop.sink.stop()

    down = await attempt(shop)
    state_while_down = (await delivery(shop))["state"]
    await shop.sink.start()
    up = await attempt(shop, 2)

    assert isinstance(down, Retry) and "is not available" in down.reason
    assert state_while_down == "intent"
    assert isinstance(up, Done)
    assert (await delivery(shop))["uncertain"] == 0 and len(shop.sink.mails()) == 1


@pytest.mark.parametrize("stage", ["RCPT", "DATA"])
async def test_a_refusal_for_now_is_tried_again(shop: Workshop, stage: Any) -> None:
    await shop.add_user()
    shop.sink.policy = answering("451 4.7.1 greylisted", at=stage)

    refused = await attempt(shop)
    state = (await delivery(shop))["state"]
    shop.sink.policy = accept
    accepted = await attempt(shop, 2)

    assert isinstance(refused, Retry) and "451 4.7.1 greylisted" in refused.reason
    assert state == "intent"
    assert isinstance(accepted, Done)
    assert (await delivery(shop))["uncertain"] == 0 and len(shop.sink.mails()) == 1


@pytest.mark.parametrize(
    ("stage", "answer", "state"),
    [
        ("RCPT", "550 5.1.1 no such user", "bounced"),
        ("RCPT", "550 no such user", "bounced"),
        ("RCPT", "554 5.7.1 your address is on a list", "refused"),
        ("RCPT", "552 5.2.2 mailbox full", "refused"),
        ("DATA", "554 5.6.0 no such text", "refused"),
    ],
)
async def test_a_refusal_for_good_is_dead_and_not_tried_again(
    shop: Workshop, stage: Any, answer: str, state: str
) -> None:
    await shop.add_user()
    shop.sink.policy = answering(answer, at=stage)

    outcome = await attempt(shop)

    assert isinstance(outcome, Dead) and answer in outcome.reason
    row = await delivery(shop)
    assert (row["state"], row["error"]) == (state, outcome.reason)
    assert len(await shop.rows(suppressions)) == (state == "bounced")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"email": "not an address"}, "no mail address"),
        ({"email": "a@example.org\r\nRCPT TO:<b@example.org>"}, "no mail address"),
        ({"first_name": "Ada\r\nBcc: b@example.org"}, "control character"),
    ],
)
async def test_what_cannot_be_a_mail_is_dead_before_the_server_hears_of_it(
    shop: Workshop, values: dict[str, Any], reason: str
) -> None:
    await shop.add_user(**values)
    await shop.sink.stop()

    outcome = await attempt(shop)

    assert isinstance(outcome, Dead) and reason in outcome.reason
    assert (await delivery(shop))["state"] == "refused"


async def test_a_dead_mail_that_is_tried_again_later_goes_to_the_new_address(shop: Workshop) -> None:
    await shop.add_user(email="wrong")
    await attempt(shop)
    async with shop.engine.begin() as connection:
        await connection.execute(shop.backend.users.update().values(email="right@example.org"))

    outcome = await attempt(shop, cause="2")

    assert isinstance(outcome, Done)
    assert (await delivery(shop))["recipient"] == "right@example.org"
    assert [mail["To"] for mail in shop.sink.mails()] == ["right@example.org"]


def test_a_welcome_outlasts_an_outage_of_three_hours() -> None:
    policy = send_welcome_email.retry
    rng = random.Random(1)

    waits = [policy.delay(number, rng) for number in range(1, policy.max_attempts)]

    assert timedelta(hours=3) < sum(waits, timedelta()) < timedelta(hours=5)
    assert waits[0] < timedelta(minutes=1)
