"""Mail servers at their worst: no mail is lost, none is held twice, and what nobody knows is counted."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from agents.send_digest import Digest, send_digest
from agents.send_welcome_email import WelcomeEmail, send_welcome_email
from schemas.tables import mail_deliveries
from schemas.tables_mail import suppressions
from streams.mail.smtp import MailServer
from streams.task import Dead, Done, Outcome, Retry, Skip
from tests.digests import WEEK, add_post, add_reader, begin_week
from tests.one_run import Workshop
from tests.smtp_script import CUT, ScriptedServer, as_usual, scripted_server

READERS, LOST, GONE = range(1, 81), range(1, 51), range(71, 75)
"""Readers, those of them whose 250 is lost, and those whose mailbox is not there."""

FEW = (*range(1, 16), *range(51, 59), 71)
"""Some of each for the short form, which keeps the shares."""


@pytest.fixture
async def script() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as server:
        yield server


@pytest.fixture
async def faulty(shop: Workshop, script: ScriptedServer) -> AsyncIterator[Workshop]:
    """A workshop whose mails go to the scripted server."""
    smtp = shop.settings.smtp.model_copy(update={"url": script.url, "timeout": timedelta(seconds=20)})
    server = MailServer(smtp)
    yield replace(shop, settings=shop.settings.model_copy(update={"smtp": smtp}), server=server)
    await server.close()


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "TEXT", "KEPT"])
async def test_a_connection_that_is_cut_at_any_verb_loses_no_welcome(
    faulty: Workshop, script: ScriptedServer, verb: str
) -> None:
    await faulty.add_user(7)
    script.answer = lambda heard, recipient: CUT if heard == verb else None

    cut = await faulty.run(send_welcome_email, WelcomeEmail(7))
    script.answer = as_usual
    again = await faulty.run(send_welcome_email, WelcomeEmail(7), attempt=2)

    in_doubt = verb in ("DATA", "TEXT", "KEPT")
    (row,) = await faulty.rows(mail_deliveries)
    assert isinstance(cut, Retry) and isinstance(again, Done)
    assert (row["state"], row["uncertain"]) == ("sent", int(in_doubt))
    assert script.kept == {"u7@example.org": 2 if verb == "KEPT" else 1}


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "TEXT", "KEPT"])
async def test_a_connection_that_is_cut_after_its_first_mail_costs_the_second_as_little(
    faulty: Workshop, script: ScriptedServer, verb: str
) -> None:
    await faulty.add_user(7)
    await faulty.add_user(8)
    await faulty.run(send_welcome_email, WelcomeEmail(7), cause="7")
    cuts = iter([CUT])
    script.answer = lambda heard, recipient: next(cuts, None) if heard == verb else None

    outcome = await faulty.run(send_welcome_email, WelcomeEmail(8), cause="8")

    assert isinstance(outcome, Done if verb == "MAIL" else Retry)
    assert script.connections == (2 if verb == "MAIL" else 1)
    assert sum(row["uncertain"] for row in await faulty.rows(mail_deliveries)) == 0


async def until_it_ends(shop: Workshop, number: int, places: asyncio.Semaphore) -> Outcome:
    """A reader's digest with all of its attempts."""
    for attempt in range(1, send_digest.retry.max_attempts + 1):
        async with places:
            outcome = await shop.run(send_digest, Digest(number, WEEK), cause=str(number), attempt=attempt)
        if not isinstance(outcome, Retry):
            break
    return outcome


async def test_in_a_storm_of_faults_no_digest_is_lost_and_none_is_held_twice(
    faulty: Workshop, script: ScriptedServer, full: bool
) -> None:
    readers = READERS if full else FEW
    gone, losing = set(GONE) & set(readers), set(LOST) & set(readers)
    for number in readers:
        await add_reader(faulty, number)
    await faulty.add_user(1000)
    await add_post(faulty, 1, 1000)
    await begin_week(faulty)
    # Each reader's faults are a sequence of its own: they do not depend on who is served first.
    faults, lost = {number: random.Random(number) for number in readers}, set(losing)

    def answer(verb: str, recipient: str) -> bytes | None:
        number = int(recipient[1:].partition("@")[0]) if recipient else 0
        if verb == "RCPT" and number in gone:
            return b"550 5.1.1 no such user"
        if verb in ("RCPT", "DATA") and faults[number].random() < 0.2:
            return b"451 4.3.0 not now"
        if verb == "KEPT" and number in lost:
            lost.discard(number)
            return CUT
        return None

    script.answer = answer
    places = asyncio.Semaphore(16)
    ends = await asyncio.gather(*(until_it_ends(faulty, number, places) for number in readers))

    kinds = {number: type(end) for number, end in zip(readers, ends, strict=True)}
    assert {number for number, kind in kinds.items() if kind is Dead} == gone
    assert {number for number, kind in kinds.items() if kind is Skip} == losing
    assert set(script.kept.values()) == {1} and len(script.kept) == len(readers) - len(gone)
    rows = await faulty.rows(mail_deliveries)
    states = {state: sum(row["state"] == state for row in rows) for state in ("sent", "uncertain", "bounced")}
    sent = len(readers) - len(gone) - len(losing)
    assert states == {"sent": sent, "uncertain": len(losing), "bounced": len(gone)}
    assert sum(row["uncertain"] for row in rows) == len(losing)
    assert {row["reason"] for row in await faulty.rows(suppressions)} == {"bounced"}


async def test_one_connection_carries_many_mails_and_never_two_at_once(
    faulty: Workshop, script: ScriptedServer
) -> None:
    server = MailServer(faulty.settings.smtp.model_copy(update={"connections": 2, "mails_per_connection": 5}))

    async def begin() -> None:
        return None

    text = b"Subject: hello\r\n\r\nhello\r\n"
    await asyncio.gather(*(server.submit(f"u{number}@example.org", text, begin) for number in range(20)))
    await server.close()

    assert len(script.kept) == 20 and set(script.kept.values()) == {1}
    assert script.connections == 4
    assert script.verbs["QUIT"] == 4 and script.verbs["RSET"] == 0


async def test_a_refused_mail_leaves_a_connection_that_is_clean(faulty: Workshop, script: ScriptedServer) -> None:
    await faulty.add_user(7)
    await faulty.add_user(8)
    script.answer = lambda verb, recipient: b"451 later" if verb == "RCPT" and recipient[:2] == "u7" else None

    await faulty.run(send_welcome_email, WelcomeEmail(7), cause="7")
    outcome = await faulty.run(send_welcome_email, WelcomeEmail(8), cause="8")

    assert isinstance(outcome, Done)
    assert (script.connections, script.verbs["RSET"]) == (1, 1)


@pytest.mark.parametrize(("offered", "kind"), [(b"250-x\r\n250 SMTPUTF8", Done), (b"250 x", Dead)])
async def test_letters_beyond_ascii_before_the_at_go_where_the_server_takes_them(
    faulty: Workshop, script: ScriptedServer, offered: bytes, kind: type
) -> None:
    await faulty.add_user(7, email="zoë@example.org")
    script.answer = lambda verb, recipient: offered if verb == "EHLO" else None

    outcome = await faulty.run(send_welcome_email, WelcomeEmail(7))

    assert isinstance(outcome, kind), outcome
    assert script.kept == ({"zoë@example.org": 1} if kind is Done else {})
    assert kind is Done or "does not offer SMTPUTF8" in str(outcome)
