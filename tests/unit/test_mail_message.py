"""What a mail looks like, and what is never put into one."""

import os
import uuid
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from jinja2 import UndefinedError

from streams.mail.address import checked_address, sender_address
from streams.mail.errors import Permanent
from streams.mail.message import Composer
from streams.mail.template import WELCOME, Mail, Text
from streams.mail.wording import Wording
from streams.task_settings import Mails, Smtp

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
SENDER = "The Network <hello@network.example>"
SMTP = Smtp(sender=SENDER)


def welcome(name: str = "Ada", recipient: str = "ada@example.org", user_id: str = "7") -> Mail:
    return Mail(WELCOME, user_id, f"user:{user_id}", recipient, {"name": name, "username": "ada1815"})


def words(mail: Mail) -> Text:
    return Wording(Mails()).text(mail)


def compose(mail: Mail) -> bytes:
    return Composer(SMTP).compose(mail, words(mail), None, NOW)


def composed(mail: Mail) -> EmailMessage:
    message = message_from_bytes(compose(mail), policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part
    return str(part.get_content())


def test_a_welcome_is_text_and_html_of_the_same() -> None:
    message = composed(welcome())

    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    for kind in ("plain", "html"):
        assert "Welcome, Ada" in body(message, kind) and "@ada1815" in body(message, kind)


def test_its_headers_say_who_to_whom_when_and_that_no_person_wrote_it() -> None:
    message = composed(welcome())

    assert message["From"] == SENDER
    assert message["To"] == "ada@example.org"
    assert message["Subject"] == "Welcome, Ada"
    assert message["Date"].datetime == NOW
    assert message["Auto-Submitted"] == "auto-generated"


def test_the_message_id_is_fixed_by_template_user_and_cause() -> None:
    first, again, another = (composed(welcome(name, user_id=i)) for name, i in (("A", "7"), ("B", "7"), ("A", "8")))

    assert first["Message-ID"] == again["Message-ID"] != another["Message-ID"]
    local, domain = first["Message-ID"].strip("<>").split("@")
    assert uuid.UUID(local).version == 5 and domain == "network.example"


def test_the_same_mail_is_the_same_bytes() -> None:
    assert compose(welcome()) == compose(welcome())


def test_a_name_is_escaped_in_html_and_kept_in_text() -> None:
    message = composed(welcome("<script>alert('x')</script> & Söhne 🎉"))

    assert "<script>" not in body(message, "html") and "&lt;script&gt;" in body(message, "html")
    assert "<script>alert('x')</script> & Söhne 🎉" in body(message, "plain")
    assert message["Subject"] == "Welcome, <script>alert('x')</script> & Söhne 🎉"


def test_any_server_can_carry_it() -> None:
    content = compose(welcome("Zoë 🎉" * 50))

    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998 and b"\n" not in content.replace(b"\r\n", b"")


@pytest.mark.parametrize("name", ["Ada\r\nBcc: all@example.org", "Ada\nX", "Ada\0", "Ada\x1b[31m", "a\u2028b"])
def test_a_name_that_could_add_headers_is_refused(name: str) -> None:
    with pytest.raises(Permanent, match="control character"):
        composed(welcome(name))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("ada@example.org", "ada@example.org"),
        ("a.d+a_1815@mail.example.org", "a.d+a_1815@mail.example.org"),
        ("o'hara@localhost", "o'hara@localhost"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("zoë@example.org", "zoë@example.org"),
        ("zoe\u0308@example.org", "zoë@example.org"),
        ("उपयोगकर्ता@example.org", "उपयोगकर्ता@example.org"),
    ],
)
def test_a_mail_address_is_accepted_with_its_domain_in_ascii(address: str, expected: str) -> None:
    assert checked_address(address) == expected
    assert composed(welcome(recipient=address))["To"] == expected


@pytest.mark.parametrize(
    "address",
    [
        *("", "ada", "ada@", "@example.org", "a@b@c", "ada @example.org", "ada@exa mple.org", "<ada@example.org>"),
        *("a..b@example.org", ".a@example.org", "ada@-x.org", "ada@x..org", "ada@example.org\r\nRCPT TO:<b@c>"),
        *(
            "ada@example.org\n",
            "a\0@example.org",
            "a\u200b@example.org",
            "ä\u202e@example.org",
            "é" * 33 + "@example.org",
            f"{'a' * 65}@example.org",
        ),
        f"a@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}.{'f' * 60}.org",
    ],
)
def test_what_is_no_mail_address_is_refused_before_the_server_sees_it(address: str) -> None:
    with pytest.raises(Permanent, match=r"no mail address|cannot be mailed"):
        checked_address(address)


def test_a_wrong_sender_names_its_setting() -> None:
    with pytest.raises(ValueError, match="TAILRACE_SMTP__SENDER='nobody'"):
        sender_address("nobody")


def test_a_value_that_a_template_misses_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        words(Mail(WELCOME, "7", "user:7", "ada@example.org", {"name": "Ada"}))


def test_templates_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    templates = Wording(Mails())
    first = templates.text(welcome())

    def refuse(*_: object) -> None:
        raise AssertionError("the disk is asked for each mail")

    for name in ("stat", "getmtime", "isfile", "exists"):
        monkeypatch.setattr(os.path if name != "stat" else os, name, refuse)

    assert templates.text(welcome()) == first
