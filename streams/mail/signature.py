"""DKIM: the sender's domain vouches for each mail, so that others can tell it from a forgery. Source: RFC 6376."""

import re
from collections.abc import Callable

import dkim

from streams.task_settings import Smtp


class WrongKey(Exception):
    """The key of the settings cannot be used; the message names the setting and says what to do."""


Sign = Callable[[bytes], bytes]

SIGNED = (b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type", b"auto-submitted")
SIGNED_OF_LISTS = (b"list-unsubscribe", b"list-unsubscribe-post")
"""Without these in the signature no mail program offers one-click unsubscription. Source: RFC 8058, section 4."""


def signer(smtp: Smtp, sender: str) -> Sign:
    """Signs a message for the sender's domain; without a key it leaves it as it is.

    Raises ``WrongKey``.
    """
    if smtp.dkim_key_file is None:
        return lambda message: message
    key, domain = smtp.dkim_key_file.read_bytes(), sender.rpartition("@")[2].encode()
    selector = smtp.dkim_selector.encode()

    def sign(message: bytes) -> bytes:
        lists = SIGNED_OF_LISTS if re.search(rb"^List-Unsubscribe:", message, re.MULTILINE) else ()
        signature: bytes = dkim.sign(
            message, selector, domain, key, canonicalize=(b"relaxed", b"relaxed"), include_headers=[*SIGNED, *lists]
        )
        return signature + message

    try:
        sign(b"From: %s\r\n\r\n" % sender.encode())
    except (dkim.DKIMException, ValueError, IndexError) as error:
        raise WrongKey(
            f"TAILRACE_SMTP__DKIM_KEY_FILE={str(smtp.dkim_key_file)!r}: no RSA key in PEM ({error}); "
            "`openssl genrsa -traditional 2048` makes one"
        ) from error
    return sign
