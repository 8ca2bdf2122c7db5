"""Mail addresses, checked before a server sees them."""

import re
from email.utils import parseaddr

from streams.mail.errors import Permanent

MAX_LOCAL, MAX_ADDRESS = 64, 254
LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def checked_address(address: str) -> str:
    """The address as SMTP wants it, its domain in ASCII. Raises ``Permanent`` that says what is wrong."""
    local, at, domain = address.rpartition("@")
    if not at:
        raise Permanent(f"{address!r} is no mail address: it has no @")
    if not local.isascii():
        raise Permanent(f"{address!r} cannot be mailed: its part before the @ goes beyond ASCII")
    if not LOCAL.fullmatch(local) or len(local) > MAX_LOCAL:
        raise Permanent(f"{address!r} is no mail address: wrong before the @")
    ascii_domain = _ascii(domain)
    if ascii_domain is None or not all(LABEL.fullmatch(label) for label in ascii_domain.split(".")):
        raise Permanent(f"{address!r} is no mail address: wrong after the @")
    if len(local) + 1 + len(ascii_domain) > MAX_ADDRESS:
        raise Permanent(f"{address!r} is no mail address: longer than {MAX_ADDRESS} characters")
    return f"{local}@{ascii_domain}"


def sender_address(sender: str) -> str:
    """The address in ``Name <address>``. Raises ``ValueError`` that names the setting."""
    try:
        return checked_address(parseaddr(sender)[1])
    except Permanent as error:
        raise ValueError(f"TAILRACE_SMTP__SENDER={sender!r}: {error}; write Name <name@example.org>") from error


def _ascii(domain: str) -> str | None:
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
