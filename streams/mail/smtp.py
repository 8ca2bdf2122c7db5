"""Hands one mail to the mail server and says exactly how far that got."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from streams.mail.address import sender_address
from streams.mail.errors import MailError, Permanent, Temporary
from streams.task_settings import Smtp

DEFAULT_PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
GOODBYE_SECONDS = 2.0

ABOUT_US = {530, 534, 535, 538}
"""Whatever they answer, they ask for encryption or a login: no fault of the mail. Source: RFC 4954, section 6."""


@dataclass(frozen=True)
class ServerAddress:
    """Where the mail server is and how it is talked to."""

    scheme: str
    host: str
    port: int
    username: str | None
    password: str | None

    @classmethod
    def parse(cls, url: str) -> "ServerAddress":
        """Of ``smtp://``, ``smtps://`` or ``smtp+starttls://user:password@host:port``. Raises ``ValueError``."""
        parts = urlsplit(url)
        expected = "write smtp://, smtps:// or smtp+starttls://, then user:password@host:port"
        # Without the value: it may hold a password.
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"TAILRACE_SMTP__URL is wrong; {expected}")
        try:
            port = parts.port or DEFAULT_PORTS[parts.scheme]
        except ValueError as error:
            raise ValueError(f"TAILRACE_SMTP__URL has a wrong port; {expected}") from error
        username, password = (unquote(text) if text else None for text in (parts.username, parts.password))
        return cls(parts.scheme, parts.hostname, port, username, password)


class MailServer:
    """Connects for each mail. Keeping connections open is this class's own affair: callers see one mail."""

    def __init__(self, smtp: Smtp) -> None:
        self._address = ServerAddress.parse(smtp.url)
        self._sender = sender_address(smtp.sender)
        self._timeout = smtp.timeout.total_seconds()

    async def submit(self, recipient: str, message: bytes, before_text: Callable[[], Awaitable[None]]) -> None:
        """Have the server take the mail.

        ``before_text`` runs when sender and recipient are accepted and nothing of the mail has been sent; if
        it raises, nothing is. Raises ``Temporary`` or ``Permanent``; only those that are ``in_doubt`` leave
        open whether the server has the mail.
        """
        client = SMTP(**self._options())
        try:
            await self._connect(client)
            await self._address_to(client, recipient)
            await before_text()
            await self._send_text(client, message)
        finally:
            await _leave(client)

    def _options(self) -> dict[str, Any]:
        address = self._address
        return {
            "hostname": address.host,
            "port": address.port,
            "username": address.username,
            "password": address.password,
            "use_tls": address.scheme == "smtps",
            "start_tls": address.scheme == "smtp+starttls",
            "timeout": self._timeout,
            # Else the library asks DNS for this machine's name, which may take long.
            "local_hostname": self._sender.rpartition("@")[2],
        }

    async def _connect(self, client: SMTP) -> None:
        try:
            await client.connect()
        except (SMTPException, OSError) as error:
            # Whatever is answered here is about the server or our account: no fault of the mail.
            where = f"{self._address.host}:{self._address.port}"
            raise Temporary(f"the mail server {where} is not available: {_told(error)}") from error

    async def _address_to(self, client: SMTP, recipient: str) -> None:
        try:
            await client.mail(self._sender)
        except (SMTPException, OSError) as error:
            # Nothing of this mail has been said yet: it is about encryption, login or sender of every mail.
            raise _of_every_mail(error, self._sender) from error
        try:
            await client.rcpt(recipient)
        except (SMTPException, OSError) as error:
            raise _refusal(error, in_doubt=False) from error

    async def _send_text(self, client: SMTP, message: bytes) -> None:
        try:
            await client.data(message)
        except (SMTPException, OSError) as error:
            raise _refusal(error, in_doubt=True) from error


def _refusal(error: Exception, *, in_doubt: bool) -> MailError:
    """A server's refusal is definite; the loss of the connection, or an answer that is none, is as ``in_doubt``
    says.
    """
    if not isinstance(error, SMTPResponseException):
        return Temporary(f"the connection to the mail server was lost: {_told(error)}", in_doubt=in_doubt)
    if not 400 <= error.code < 600:
        return Temporary(f"the mail server's answer is not understood: {_told(error)}", in_doubt=in_doubt)
    if error.code in ABOUT_US:
        return Temporary(f"the mail server refused us: {_told(error)}; check TAILRACE_SMTP__URL")
    if error.code >= 500:
        return Permanent(f"the mail server refused it: {_told(error)}")
    return Temporary(f"the mail server refused it for now: {_told(error)}")


def _of_every_mail(error: Exception, sender: str) -> Temporary:
    settings = "check TAILRACE_SMTP__URL and TAILRACE_SMTP__SENDER"
    return Temporary(f"the mail server takes no mail from {sender}: {_told(error)}; {settings}")


def _told(error: Exception) -> str:
    """In one line of what a database can keep: a server may answer in any bytes."""
    told = f"{error.code} {error.message}" if isinstance(error, SMTPResponseException) else str(error)
    kept = "".join(character if character.isprintable() else " " for character in told)
    return " ".join(kept.split())[:300] or type(error).__name__


async def _leave(client: SMTP) -> None:
    """Say goodbye if anybody listens. What became of the mail is known by now, so nothing here matters."""
    with suppress(SMTPException, OSError):
        if client.is_connected:
            await client.quit(timeout=GOODBYE_SECONDS)
    client.close()
