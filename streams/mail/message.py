"""A mail as bytes: text and HTML of it, with headers that nobody's name can add to."""

import binascii
import unicodedata
import uuid
from collections.abc import Iterator
from datetime import datetime
from email.header import Header
from email.utils import format_datetime, formataddr, parseaddr

from streams.mail.address import checked_address, sender_address
from streams.mail.errors import Permanent
from streams.mail.signature import signer
from streams.mail.template import Mail, Text
from streams.task_settings import Smtp

NAMESPACE = uuid.UUID("3f0d3c52-6a3b-5a0e-8c55-0f3a8f5f2c01")
LINE = 76


def message_id(mail: Mail, domain: str) -> str:
    """The same for every attempt at this mail, so that mail programs show extra copies once."""
    name = "\x1f".join((mail.template.name, mail.user_id, mail.cause))
    return f"<{uuid.uuid5(NAMESPACE, name)}@{domain}>"


class Composer:
    """Writes mails of one sender, signed where the settings have a key."""

    def __init__(self, smtp: Smtp) -> None:
        self._address = sender_address(smtp.sender)
        self._name = parseaddr(smtp.sender)[0]
        self._sign = signer(smtp, self._address)

    def compose(self, mail: Mail, text: Text, unsubscribe: str | None, date: datetime) -> bytes:
        """The whole message: the same bytes for the same mail, which every server can carry unless the recipient's
        address goes beyond ASCII. Raises ``Permanent`` for an address or a header value that cannot be sent.
        """
        headers = "\r\n".join(self._headers(mail, text, unsubscribe, date))
        boundary = uuid.uuid5(NAMESPACE, message_id(mail, self._address.rpartition("@")[2])).hex
        parts = "".join(
            f"--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\n"
            f"Content-Transfer-Encoding: quoted-printable\r\n\r\n{_quoted(content)}\r\n"
            for kind, content in (("plain", text.plain), ("html", text.html))
        )
        kind = f'Content-Type: multipart/alternative; boundary="{boundary}"'
        return self._sign(f"{headers}\r\n{kind}\r\n\r\n{parts}--{boundary}--\r\n".encode())

    def _headers(self, mail: Mail, text: Text, unsubscribe: str | None, date: datetime) -> Iterator[str]:
        domain = self._address.rpartition("@")[2]
        yield "MIME-Version: 1.0"
        yield f"From: {formataddr((header_value(self._name), self._address))}"
        yield f"To: {checked_address(mail.recipient)}"
        yield f"Subject: {_folded('Subject', header_value(text.subject))}"
        yield f"Date: {format_datetime(date)}"
        yield f"Message-ID: {message_id(mail, domain)}"
        yield "Auto-Submitted: auto-generated"
        yield f"Content-Language: {text.locale}"
        if unsubscribe:
            yield f"List-Unsubscribe: <{header_value(unsubscribe)}>"
            yield "List-Unsubscribe-Post: List-Unsubscribe=One-Click"


def header_value(value: str) -> str:
    """The value. Raises ``Permanent`` if it has line ends or other control characters, which could add headers."""
    for character in value:
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
            raise Permanent(f"{value!r} cannot be in a header: it has the control character {character!r}")
    return value


def _folded(name: str, value: str) -> str:
    charset = "us-ascii" if value.isascii() else "utf-8"
    return Header(value, charset, header_name=name).encode(linesep="\r\n", maxlinelen=LINE)


def _quoted(content: str) -> str:
    """Quoted-printable, by the one encoder of the standard library that is not slow."""
    lines = content.replace("\r\n", "\n").replace("\r", "\n")
    encoded = binascii.b2a_qp(lines.encode(errors="replace"), istext=True).decode()
    return encoded.replace("\n", "\r\n")
