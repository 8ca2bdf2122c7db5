"""How far a mail got at a real SMTP server, in good health and in bad."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streams.devstack.processes import free_port
from streams.devstack.smtp_sink import DROP, SmtpSink, accept, answering
from streams.mail.errors import Permanent, Temporary
from streams.mail.smtp import MailServer, ServerAddress
from streams.settings import Settings

MESSAGE = b"Subject: Hello\r\n\r\n.a line with a dot\r\n..two\r\n"


@pytest.fixture
async def sink(tmp_path: Path) -> AsyncIterator[SmtpSink]:
    sink = SmtpSink(tmp_path / "mail", free_port())
    await sink.start()
    yield sink
    await sink.stop()


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
