"""What a mail server's answer means for a mail: whose fault it is, and whether the mail may have gone."""

import re

from aiosmtplib import SMTPResponseException

from streams.mail.errors import Bounced, MailError, Permanent, Temporary

ABOUT_US = {530, 534, 535, 538}
"""Whatever they answer, they ask for encryption or a login: no fault of the mail. Source: RFC 4954, section 6."""

GOES_AWAY = 421
"""The server closes the connection, whatever was asked."""

ENHANCED = re.compile(r"5\.\d{1,3}\.\d{1,3}\b")
NO_MAILBOX = ("5.1.", "5.2.0", "5.2.1", "5.0.", "5.5.0")
"""The mailbox is not there or is closed. Not: full (5.2.2), a policy about us (5.7), trouble on the way (5.3, 5.4).
Source: RFC 3463."""


def refusal_of_recipient(error: Exception) -> MailError:
    """At RCPT: a refusal for good that is about the mailbox is ``Bounced``."""
    refusal = refusal_of(error, in_doubt=False)
    if isinstance(refusal, Permanent) and isinstance(error, SMTPResponseException) and _is_about_mailbox(error):
        return Bounced(str(refusal))
    return refusal


def refusal_of(error: Exception, *, in_doubt: bool) -> MailError:
    """A server's refusal is definite; the loss of the connection, or an answer that is none, is as ``in_doubt``
    says.
    """
    if not isinstance(error, SMTPResponseException):
        return Temporary(f"the connection to the mail server was lost: {told(error)}", in_doubt=in_doubt)
    if not 400 <= error.code < 600:
        return Temporary(f"the mail server's answer is not understood: {told(error)}", in_doubt=in_doubt)
    if error.code in ABOUT_US:
        return Temporary(f"the mail server refused us: {told(error)}; check TAILRACE_SMTP__URL")
    if error.code >= 500:
        return Permanent(f"the mail server refused it: {told(error)}")
    return Temporary(f"the mail server refused it for now: {told(error)}")


def refusal_of_sender(error: Exception, sender: str) -> Temporary:
    """At MAIL nothing of the mail has been said: it is about encryption, login or sender of every mail."""
    settings = "check TAILRACE_SMTP__URL and TAILRACE_SMTP__SENDER"
    return Temporary(f"the mail server takes no mail from {sender}: {told(error)}; {settings}")


def is_definite(error: Exception) -> bool:
    """Whether the server has answered so that the connection can be used again."""
    return isinstance(error, SMTPResponseException) and 400 <= error.code < 600 and error.code != GOES_AWAY


def told(error: Exception) -> str:
    """In one line of what a database can keep: a server may answer in any bytes."""
    said = f"{error.code} {error.message}" if isinstance(error, SMTPResponseException) else str(error)
    kept = "".join(character if character.isprintable() else " " for character in said)
    return " ".join(kept.split())[:300] or type(error).__name__


def _is_about_mailbox(error: SMTPResponseException) -> bool:
    found = ENHANCED.match(error.message.strip())
    return found is None or found.group().startswith(NO_MAILBOX)
