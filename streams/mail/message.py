"""A mail as bytes: text and HTML of it, with headers that nobody's name can add to."""

import unicodedata
import uuid
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from streams.mail.address import checked_address, sender_address
from streams.mail.errors import Permanent
from streams.mail.template import Mail, Text

NAMESPACE = uuid.UUID("3f0d3c52-6a3b-5a0e-8c55-0f3a8f5f2c01")
WIRE = SMTP.clone(cte_type="7bit")
"""Lines end as SMTP wants them, and every server can carry it."""


def message_id(mail: Mail, domain: str) -> str:
    """The same for every attempt at this mail, so that mail programs show extra copies once."""
    name = "\x1f".join((mail.template.name, mail.user_id, mail.cause))
    return f"<{uuid.uuid5(NAMESPACE, name)}@{domain}>"


def compose(mail: Mail, text: Text, sender: str, date: datetime) -> bytes:
    """The whole message. Raises ``Permanent`` for an address or a header value that cannot be sent."""
    recipient = checked_address(mail.recipient)
    name, address = parseaddr(sender)[0], sender_address(sender)
    message = EmailMessage(policy=WIRE)
    message["From"] = Address(header_value(name), addr_spec=address)
    message["To"] = Address(addr_spec=recipient)
    message["Subject"] = header_value(text.subject)
    message["Date"] = format_datetime(date)
    message["Message-ID"] = message_id(mail, address.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text.plain, cte="quoted-printable")
    message.add_alternative(text.html, subtype="html", cte="quoted-printable")
    # The library's own would be random: the same mail is the same bytes.
    message.set_boundary(uuid.uuid5(NAMESPACE, message["Message-ID"]).hex)
    return message.as_bytes()


def header_value(value: str) -> str:
    """The value. Raises ``Permanent`` if it has line ends or other control characters, which could add headers."""
    for character in value:
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
            raise Permanent(f"{value!r} cannot be in a header: it has the control character {character!r}")
    return value
