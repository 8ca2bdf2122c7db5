"""Mail addresses, checked before a server sees them."""

import re
import unicodedata
from email.utils import parseaddr

from streams.mail.errors import Permanent

MAX_LOCAL, MAX_ADDRESS = 64, 254
ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
WRITTEN = ("L", "M", "N")
"""Categories of what may stand beyond ASCII before the @: letters, their marks, digits. Nothing that is unseen."""


def checked_address(address: str) -> str:
    """The address as SMTP wants it, its domain in ASCII. Raises ``Permanent`` that says what is wrong.

    Where the part before the @ goes beyond ASCII, the mail server must offer SMTPUTF8: ``needs_utf8``.
    """
    given, at, domain = address.rpartition("@")
    if not at:
        raise Permanent(f"{address!r} is no mail address: it has no @")
    local = unicodedata.normalize("NFC", given)
    if not all(_is_atom(atom) for atom in local.split(".")) or len(local.encode(errors="replace")) > MAX_LOCAL:
        raise Permanent(f"{address!r} is no mail address: wrong before the @")
    ascii_domain = _ascii(domain)
    if ascii_domain is None or not all(LABEL.fullmatch(label) for label in ascii_domain.split(".")):
        raise Permanent(f"{address!r} is no mail address: wrong after the @")
    if len(local.encode()) + 1 + len(ascii_domain) > MAX_ADDRESS:
        raise Permanent(f"{address!r} is no mail address: longer than {MAX_ADDRESS} characters")
    return f"{local}@{ascii_domain}"


def needs_utf8(address: str) -> bool:
    """Whether only a server with SMTPUTF8 can take it. Source: RFC 6531."""
    return not address.isascii()


def folded(address: str) -> str:
    """The same for every way to write one mailbox, as far as that is known: for looking it up, not for sending."""
    local, _, domain = unicodedata.normalize("NFC", address.strip()).rpartition("@")
    return f"{local.casefold()}@{(_ascii(domain) or domain).casefold()}"


def sender_address(sender: str) -> str:
    """The address in ``Name <address>``. Raises ``ValueError`` that names the setting."""
    try:
        address = checked_address(parseaddr(sender)[1])
    except Permanent as error:
        raise ValueError(f"TAILRACE_SMTP__SENDER={sender!r}: {error}; write Name <name@example.org>") from error
    if needs_utf8(address):
        raise ValueError(f"TAILRACE_SMTP__SENDER={sender!r}: not every server takes it; use ASCII before the @")
    return address


def _is_atom(atom: str) -> bool:
    kept = "".join("x" if _is_written(character) else character for character in atom)
    return bool(ATOM.fullmatch(kept))


def _is_written(character: str) -> bool:
    return not character.isascii() and unicodedata.category(character).startswith(WRITTEN)


def _ascii(domain: str) -> str | None:
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
