"""Connections to the mail server that stay open between mails. One is never in two hands at once."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiosmtplib import SMTP, SMTPException

from streams.mail.errors import Temporary
from streams.mail.refusals import told
from streams.mail.smtp_address import ServerAddress
from streams.task_settings import Smtp

GOODBYE_SECONDS = 2.0


@dataclass(eq=False)
class Link:
    """One open connection. ``mails``: begun on it before; 0 for a fresh one."""

    client: SMTP
    mails: int = 0
    expiry: asyncio.TimerHandle | None = field(default=None, repr=False)

    def cut(self) -> None:
        """Close it without a word: nobody knows what the server makes of it."""
        if self.expiry:
            self.expiry.cancel()
        self.client.close()


class Connections:
    """Opens as many as are needed at once, keeps them for ``smtp.idle`` after their last mail, and says goodbye
    after ``smtp.mails_per_connection`` mails: servers end longer conversations themselves.
    """

    def __init__(self, smtp: Smtp, our_name: str) -> None:
        self._address = ServerAddress.parse(smtp.url)
        self._smtp, self._our_name = smtp, our_name
        self._idle: list[Link] = []
        self._leaving: set[asyncio.Task[None]] = set()

    async def take(self) -> Link:
        """The one that was used last, else a new one. Raises ``Temporary`` where the server is not available."""
        while self._idle:
            link = self._idle.pop()
            if link.expiry:
                link.expiry.cancel()
            if link.client.is_connected:
                return link
            link.cut()
        return Link(await self._connect())

    async def give_back(self, link: Link, *, after_refusal: bool) -> None:
        """It has had a mail. After a refusal the server is told to forget what it has heard of it."""
        link.mails += 1
        if link.mails >= self._smtp.mails_per_connection:
            await _leave(link)
            return
        if after_refusal and not await _forgets(link):
            link.cut()
            return
        self._idle.append(link)
        link.expiry = asyncio.get_running_loop().call_later(self._smtp.idle.total_seconds(), self._expire, link)

    async def close(self) -> None:
        """Say goodbye on each. What is in somebody's hands is not touched."""
        while self._idle:
            await _leave(self._idle.pop())
        await asyncio.gather(*self._leaving, return_exceptions=True)

    def _expire(self, link: Link) -> None:
        self._idle.remove(link)
        leaving = asyncio.get_running_loop().create_task(_leave(link), name="leave mail server")
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _connect(self) -> SMTP:
        client = SMTP(**self._options())
        try:
            await client.connect()
        except (SMTPException, OSError) as error:
            client.close()
            # Whatever is answered here is about the server or our account: no fault of the mail.
            where = f"{self._address.host}:{self._address.port}"
            raise Temporary(f"the mail server {where} is not available: {told(error)}") from error
        except BaseException:
            client.close()
            raise
        return client

    def _options(self) -> dict[str, Any]:
        address = self._address
        return {
            "hostname": address.host,
            "port": address.port,
            "username": address.username,
            "password": address.password,
            "use_tls": address.scheme == "smtps",
            "start_tls": address.scheme == "smtp+starttls",
            "timeout": self._smtp.timeout.total_seconds(),
            # Else the library asks DNS for this machine's name, which may take long.
            "local_hostname": self._our_name,
        }


async def _forgets(link: Link) -> bool:
    try:
        await link.client.rset()
    except (SMTPException, OSError):
        return False
    return True


async def _leave(link: Link) -> None:
    """Say goodbye if anybody listens. What became of the mails is known by now, so nothing here matters."""
    with suppress(SMTPException, OSError):
        if link.client.is_connected:
            await link.client.quit(timeout=GOODBYE_SECONDS)
    link.cut()
