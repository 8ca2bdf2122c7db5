"""A mail whose earlier attempt did not end well: sent again only where none can be out, or as the template says."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from agents.send_welcome_email import WelcomeEmail, send_welcome_email
from schemas.tables import mail_deliveries, task_runs
from streams.claims import LostClaim
from streams.devstack.smtp_sink import DROP, accept, answering
from streams.mail.mailer import Mailer
from streams.mail.template import Mail, Template
from streams.task import Done, Outcome, Retry, Skip
from tests.one_run import NOON, Workshop

ARGS = WelcomeEmail(7)


async def attempt(shop: Workshop, number: int = 1, cause: str = "1") -> Outcome:
    return await shop.run(send_welcome_email, ARGS, attempt=number, cause=cause)


async def delivery(shop: Workshop) -> dict[str, Any]:
    (row,) = await shop.rows(mail_deliveries)
    return row


def message_ids(shop: Workshop) -> list[str]:
    return [str(mail["Message-ID"]) for mail in shop.sink.mails()]


@pytest.mark.parametrize(("stage", "copies"), [("DATA", 1), ("ANSWER", 2)])
async def test_a_connection_lost_in_the_text_is_counted_and_the_mail_sent_again_under_its_id(
    shop: Workshop, stage: Any, copies: int
) -> None:
    await shop.add_user()
    shop.sink.policy = answering(DROP, at=stage)

    lost = await attempt(shop)
    state = (await delivery(shop))["state"]
    shop.sink.policy = accept
    again = await attempt(shop, 2)

    assert isinstance(lost, Retry) and "connection to the mail server was lost" in lost.reason
    assert state == "sending"
    assert isinstance(again, Done)
    row = await delivery(shop)
    assert (row["state"], row["uncertain"]) == ("sent", 1)
    assert len(message_ids(shop)) == copies and set(message_ids(shop)) == {row["message_id"]}


async def test_a_takeover_that_finds_an_intent_sends_without_a_doubt(shop: Workshop) -> None:
    await shop.add_user()
    lost = shop.with_leases_of(timedelta(0))
    await shop.sink.stop()
    await lost.perform(await lost.claim(send_welcome_email, ARGS))
    await shop.sink.start()

    outcome = await attempt(shop.as_worker("w2"))

    assert isinstance(outcome, Done)
    row = await delivery(shop)
    assert (row["state"], row["uncertain"], row["takeovers"]) == ("sent", 0, 1)


async def test_a_takeover_of_a_worker_that_died_in_mid_sending_is_counted(shop: Workshop) -> None:
    await shop.add_user()
    lost, text_is_there = shop.with_leases_of(timedelta(0)), asyncio.Event()

    async def never_answer(stage: str, recipient: str) -> str | None:
        if stage == "ANSWER":
            text_is_there.set()
            await asyncio.Event().wait()
        return None

    shop.sink.policy = never_answer
    dying = asyncio.create_task(lost.perform(await lost.claim(send_welcome_email, ARGS)))
    await text_is_there.wait()
    dying.cancel()
    shop.sink.policy = accept

    outcome = await attempt(shop.as_worker("w2"))

    assert isinstance(outcome, Done)
    row = await delivery(shop)
    assert (row["state"], row["uncertain"]) == ("sent", 1)
    assert message_ids(shop) == [row["message_id"]] * 2


async def test_a_takeover_of_a_worker_that_died_after_the_answer_is_in_no_doubt(shop: Workshop) -> None:
    await shop.add_user()
    lost = shop.with_leases_of(timedelta(0))
    sent = await lost.perform(await lost.claim(send_welcome_email, ARGS))

    outcome = await attempt(shop.as_worker("w2"))

    row = await delivery(shop)
    assert outcome == sent == Done({"message_id": row["message_id"]})
    assert (row["state"], row["uncertain"], len(message_ids(shop))) == ("sent", 0, 1)


async def test_a_worker_taken_for_dead_sends_nothing_and_keeps_nothing_of_the_mail(shop: Workshop) -> None:
    await shop.add_user()
    slow = shop.with_leases_of(timedelta(0))
    run = await slow.claim(send_welcome_email, ARGS)

    async def take_over(stage: str, recipient: str) -> str | None:
        shop.sink.policy = accept
        await attempt(shop.as_worker("w2"))
        return None

    shop.sink.policy = take_over

    with pytest.raises(LostClaim):
        await slow.perform(run)

    row = await delivery(shop)
    assert (row["state"], row["uncertain"], len(message_ids(shop))) == ("sent", 0, 1)


async def test_a_worker_that_lost_its_run_before_it_began_leaves_no_intent(shop: Workshop) -> None:
    await shop.add_user()
    slow = shop.with_leases_of(timedelta(0))
    run = await slow.claim(send_welcome_email, ARGS)
    await shop.as_worker("w2").claim(send_welcome_email, ARGS)

    with pytest.raises(LostClaim):
        await slow.perform(run)

    assert await shop.rows(mail_deliveries) == []


async def test_a_mail_that_another_live_run_is_sending_is_left_to_it(shop: Workshop) -> None:
    await shop.add_user()
    first = await shop.claim(send_welcome_email, ARGS, cause="1")
    others: list[Outcome] = []

    async def let_another_in(stage: str, recipient: str) -> str | None:
        if stage == "ANSWER":
            others.append(await attempt(shop, cause="2"))
        return None

    shop.sink.policy = let_another_in
    await shop.record(first, await shop.perform(first))
    third = await attempt(shop, 2, cause="2")

    assert others == [Retry("another run is sending this mail")]
    assert isinstance(third, Skip)
    assert len(shop.sink.mails()) == 1 and (await delivery(shop))["uncertain"] == 0


async def test_two_runs_that_intend_one_mail_send_it_once(shop: Workshop) -> None:
    await shop.add_user()
    first = await shop.claim(send_welcome_email, ARGS, cause="1")
    others: list[Outcome] = []

    async def let_another_in(stage: str, recipient: str) -> str | None:
        shop.sink.policy = accept
        others.append(await attempt(shop, cause="2"))
        return None

    shop.sink.policy = let_another_in
    outcome = await shop.perform(first)

    assert [type(other) for other in others] == [Done]
    assert outcome == Retry("another run is sending this mail")
    assert len(shop.sink.mails()) == 1


async def test_a_template_whose_policy_is_to_hold_sends_no_second_copy(shop: Workshop) -> None:
    mailer = Mailer(shop.settings, shop.engine, shop.ledger, shop.server)
    values = {"name": "Ada", "username": "ada"}
    mail = Mail(Template("welcome", in_doubt="hold"), "7", "2026-W10", "u7@example.org", values)
    run = await shop.claim(send_welcome_email, ARGS)
    shop.sink.policy = answering(DROP, at="ANSWER")
    await mailer.send(mail, run.claim, NOON)
    shop.sink.policy = accept

    first, second = [await mailer.send(mail, run.claim, NOON) for _ in range(2)]

    assert isinstance(first, Skip) and first.reason.startswith("held: an earlier attempt may have sent")
    assert second == first
    row = await delivery(shop)
    assert (row["state"], row["uncertain"], len(message_ids(shop))) == ("uncertain", 1, 1)


async def test_a_mail_in_doubt_after_the_last_attempt_is_uncertain(shop: Workshop) -> None:
    await shop.add_user()
    shop.sink.policy = answering(DROP, at="ANSWER")

    await attempt(shop, send_welcome_email.retry.max_attempts)

    (run,) = await shop.rows(task_runs)
    row = await delivery(shop)
    assert (run["state"], row["state"], row["uncertain"]) == ("dead", "uncertain", 1)


async def test_a_mail_that_certainly_did_not_go_is_in_no_doubt_after_the_last_attempt(shop: Workshop) -> None:
    await shop.add_user()
    shop.sink.policy = answering("451 later", at="DATA")

    await attempt(shop, send_welcome_email.retry.max_attempts)

    row = await delivery(shop)
    assert (row["state"], row["uncertain"]) == ("intent", 0)


async def test_an_uncertain_welcome_is_sent_again_when_somebody_asks_for_it(shop: Workshop) -> None:
    await shop.add_user()
    shop.sink.policy = answering(DROP, at="ANSWER")
    await attempt(shop, send_welcome_email.retry.max_attempts)
    shop.sink.policy = accept

    outcome = await attempt(shop, cause="2")

    assert isinstance(outcome, Done)
    row = await delivery(shop)
    assert (row["state"], row["uncertain"]) == ("sent", 1)
    assert message_ids(shop) == [row["message_id"]] * 2


async def test_a_run_that_dies_leaves_the_mail_to_the_run_that_is_sending_it(shop: Workshop) -> None:
    await shop.add_user()
    first = await shop.claim(send_welcome_email, ARGS, cause="1")
    between: list[Any] = []

    async def let_another_die(stage: str, recipient: str) -> str | None:
        if stage == "ANSWER":
            await attempt(shop, send_welcome_email.retry.max_attempts, cause="2")
            row = await delivery(shop)
            between.append((row["state"], row["uncertain"]))
        return None

    shop.sink.policy = let_another_die
    state = await shop.record(first, await shop.perform(first))

    assert between == [("sending", 0)]
    assert (state, (await delivery(shop))["state"]) == ("done", "sent")
