"""Hands one mail to the mail server and says exactly how far that got."""

import asyncio
from collections.abc import Awaitable, Callable

from aiosmtplib import SMTPException

from streams.mail.address import needs_utf8, sender_address
from streams.mail.connections import Connections, Link
from streams.mail.errors import Permanent
from streams.mail.pace import Pace
from streams.mail.refusals import is_definite, refusal_of, refusal_of_recipient, refusal_of_sender
from streams.task_settings import Smtp

FAILURES = (SMTPException, OSError)


class MailServer:
    """The mail server as one worker uses it: over a few connections that stay open, no faster than is allowed."""

    def __init__(self, smtp: Smtp) -> None:
        self._sender = sender_address(smtp.sender)
        self._connections = Connections(smtp, self._sender.rpartition("@")[2])
        self._places = asyncio.Semaphore(smtp.connections)
        self._pace = Pace(smtp.rate)

    async def submit(self, recipient: str, message: bytes, before_text: Callable[[], Awaitable[None]]) -> None:
        """Have the server take the mail.

        ``before_text`` runs when sender and recipient are accepted and nothing of the mail has been sent; if
        it raises, nothing is. Raises ``Temporary`` or ``Permanent``; only those that are ``in_doubt`` leave
        open whether the server has the mail.
        """
        await self._pace.wait()
        async with self._places:
            link = await self._begin(recipient)
            try:
                refused = await self._tell(link, recipient, message, before_text)
            except BaseException:
                link.cut()
                raise
            await self._connections.give_back(link, after_refusal=refused is not None)
        if refused:
            raise refused

    async def close(self) -> None:
        """Say goodbye to the server."""
        await self._connections.close()

    async def _begin(self, recipient: str) -> Link:
        """A connection on which the server has accepted our MAIL.

        That command is also how a connection is tried that was idle: nothing has been said of this mail yet, so one
        that has gone meanwhile costs nothing but a new one.
        """
        while True:
            link = await self._connections.take()
            try:
                await self._mail_from(link, recipient)
                return link
            except FAILURES as error:
                link.cut()
                if link.mails:  # a fresh one is believed: servers end long conversations in many ways
                    continue
                raise refusal_of_sender(error, self._sender) from error
            except BaseException:
                link.cut()
                raise

    async def _mail_from(self, link: Link, recipient: str) -> None:
        if not needs_utf8(recipient):
            await link.client.mail(self._sender)
            return
        await link.client.ehlo()  # the library asks what a server offers with its first command, which this may be
        if link.client.supports_extension("smtputf8"):
            await link.client.mail(self._sender, options=["SMTPUTF8"])
        else:
            raise Permanent(
                f"{recipient!r} cannot be mailed: its part before the @ goes beyond ASCII, and the mail server "
                "does not offer SMTPUTF8"
            )

    async def _tell(
        self, link: Link, recipient: str, message: bytes, before_text: Callable[[], Awaitable[None]]
    ) -> Exception | None:
        """Recipient and text; the refusal after which the connection can be used again. Raises all others."""
        try:
            await link.client.rcpt(recipient, encoding="utf-8")
        except FAILURES as error:
            refusal = refusal_of_recipient(error)
            if is_definite(error):
                return refusal
            raise refusal from error
        try:
            await before_text()
        except Exception as error:  # noqa: BLE001 - it is raised when the connection is back
            return error
        try:
            await link.client.data(message)
        except FAILURES as error:
            refusal = refusal_of(error, in_doubt=True)
            if is_definite(error):
                return refusal
            raise refusal from error
        return None
