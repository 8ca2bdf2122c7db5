"""How far a mail got at a real SMTP server, in good health and in bad."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from streams.devstack.smtp_sink import DROP, SmtpSink, accept, answering
from streams.mail.errors import Permanent, Temporary
from streams.mail.smtp import MailServer
from streams.mail.smtp_address import ServerAddress
from streams.settings import Settings

MESSAGE = b"Subject: Hello\r\n\r\n.a line with a dot\r\n..two\r\n"


class Texts:
    """Counts how often the text of a mail was about to go out."""

    def __init__(self) -> None:
        self.begun = 0

    async def before_text(self) -> None:
        self.begun += 1


def server(url: str) -> MailServer:
    return MailServer(Settings.load({"TAILRACE_SMTP__URL": url, "TAILRACE_SMTP__TIMEOUT": "2s"}).smtp)


async def test_a_mail_arrives_as_it_was_sent(sink: SmtpSink) -> None:
    texts = Texts()

    await server(sink.url).submit("ada@example.org", MESSAGE, texts.before_text)

    (mail,) = sink.mails()
    assert mail["Delivered-To"] == "ada@example.org" and mail["Return-Path"] == "<hello@tailrace.example>"
    assert mail.get_content().splitlines() == [".a line with a dot", "..two"]
    assert texts.begun == 1


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        ("550 5.1.1 no such user", Permanent, "refused it: 550 5.1.1 no such user"),
        ("451 4.7.1 greylisted", Temporary, "refused it for now: 451 4.7.1 greylisted"),
        (DROP, Temporary, "connection to the mail server was lost"),
    ],
)
async def test_a_recipient_that_is_not_accepted_gets_no_text(
    sink: SmtpSink, answer: str, error: type[Permanent | Temporary], reason: str
) -> None:
    sink.policy, texts = answering(answer, at="RCPT"), Texts()

    with pytest.raises(error, match=reason) as raised:
        await server(sink.url).submit("ada@example.org", MESSAGE, texts.before_text)

    assert not raised.value.in_doubt
    assert texts.begun == 0


@pytest.mark.parametrize(
    ("answer", "stage", "error", "in_doubt"),
    [
        ("554 5.7.1 spam", "DATA", Permanent, False),
        ("452 4.3.1 disk full", "DATA", Temporary, False),
        (DROP, "DATA", Temporary, True),
        (DROP, "ANSWER", Temporary, True),
    ],
)
async def test_only_a_connection_lost_after_the_text_began_leaves_a_doubt(
    sink: SmtpSink, answer: str, stage: str, error: type[Permanent | Temporary], in_doubt: bool
) -> None:
    sink.policy, texts = answering(answer, at="DATA" if stage == "DATA" else "ANSWER"), Texts()

    with pytest.raises(error) as raised:
        await server(sink.url).submit("ada@example.org", MESSAGE, texts.before_text)

    assert raised.value.in_doubt is in_doubt
    assert texts.begun == 1


@asynccontextmanager
async def scripted(**answers: bytes) -> AsyncIterator[str]:
    """The URL of a server that gives these answers: to a command by its name, to the end of a text as ``END``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 scripted\r\n")
        while line := await reader.readline():
            verb = line.split()[0].decode().upper()
            if verb == "QUIT":
                break
            writer.write(answers.get(verb, b"354 go on" if verb == "DATA" else b"250 ok") + b"\r\n")
            if verb == "DATA" and verb not in answers:
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(answers.get("END", b"250 ok") + b"\r\n")
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"smtp://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


@pytest.mark.parametrize(
    "answers",
    [
        {"MAIL": b"530 5.7.0 Must issue a STARTTLS command first"},
        {"MAIL": b"550 5.7.1 sender rejected"},
        {"RCPT": b"530 5.7.0 Authentication required"},
    ],
    ids=["starttls", "sender", "login"],
)
async def test_a_refusal_of_us_is_no_fault_of_the_mail(answers: dict[str, bytes]) -> None:
    texts = Texts()

    async with scripted(**answers) as url:
        with pytest.raises(Temporary, match="check TAILRACE_SMTP__URL") as raised:
            await server(url).submit("ada@example.org", MESSAGE, texts.before_text)

    assert next(iter(answers.values())).decode() in str(raised.value)
    assert not raised.value.in_doubt and texts.begun == 0


@pytest.mark.parametrize(
    ("answers", "in_doubt"),
    [
        ({"RCPT": b"what?"}, False),
        ({"END": b"what?"}, True),
        ({"END": b"999 what"}, True),
        ({"END": b"251 what"}, True),
    ],
    ids=["recipient", "malformed", "no code", "unexpected"],
)
async def test_an_answer_that_is_none_is_not_taken_for_a_refusal(answers: dict[str, bytes], in_doubt: bool) -> None:
    async with scripted(**answers) as url:
        with pytest.raises(Temporary, match=r"answer is not understood: .*what") as raised:
            await server(url).submit("ada@example.org", MESSAGE, Texts().before_text)

    assert raised.value.in_doubt is in_doubt


async def test_an_answer_in_any_bytes_becomes_a_reason_that_can_be_kept() -> None:
    async with scripted(RCPT=b"550 refus\xe9 \x00\x1b[31m ici") as url:
        with pytest.raises(Permanent, match="550 refus") as raised:
            await server(url).submit("ada@example.org", MESSAGE, Texts().before_text)

    assert str(raised.value).isprintable() and str(raised.value).encode()


async def test_a_server_that_is_down_is_not_available_for_now(sink: SmtpSink) -> None:
    await sink.stop()

    with pytest.raises(Temporary, match=rf"mail server 127\.0\.0\.1:{sink.port} is not available") as raised:
        await server(sink.url).submit("ada@example.org", MESSAGE, Texts().before_text)

    assert not raised.value.in_doubt


async def test_a_server_without_what_the_url_asks_for_is_not_available(sink: SmtpSink) -> None:
    for url in (sink.url.replace("smtp:", "smtp+starttls:"), sink.url.replace("//", "//me:secret@")):
        with pytest.raises(Temporary, match="is not available") as raised:
            await server(url).submit("ada@example.org", MESSAGE, Texts().before_text)
        assert "secret" not in str(raised.value)

    assert sink.mails() == []


async def test_nothing_is_sent_if_the_last_question_before_the_text_fails(sink: SmtpSink) -> None:
    async def fail() -> None:
        raise LookupError("not ours any more")

    with pytest.raises(LookupError, match="not ours any more"):
        await server(sink.url).submit("ada@example.org", MESSAGE, fail)

    assert sink.mails() == []


async def test_the_next_mail_goes_out_after_a_refusal(sink: SmtpSink) -> None:
    mail_server, sink.policy = server(sink.url), answering("550 no")
    with pytest.raises(Permanent):
        await mail_server.submit("ada@example.org", MESSAGE, Texts().before_text)

    sink.policy = accept
    await mail_server.submit("ada@example.org", MESSAGE, Texts().before_text)

    assert len(sink.mails()) == 1


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://127.0.0.1", ServerAddress("smtp", "127.0.0.1", 25, None, None)),
        ("smtps://mail.example.org", ServerAddress("smtps", "mail.example.org", 465, None, None)),
        ("smtp+starttls://a%40b:p%2Fw@mx:2587", ServerAddress("smtp+starttls", "mx", 2587, "a@b", "p/w")),
    ],
)
def test_a_url_says_how_to_reach_the_server(url: str, expected: ServerAddress) -> None:
    assert ServerAddress.parse(url) == expected


@pytest.mark.parametrize("url", ["smtps+starttls://mx", "smtp://", "smtp://mx:port", "smtp://me:secret@mx/path"])
def test_a_wrong_url_names_its_setting_and_keeps_the_password(url: str) -> None:
    with pytest.raises(ValueError, match="TAILRACE_SMTP__URL") as raised:
        ServerAddress.parse(url)

    assert "secret" not in str(raised.value)
