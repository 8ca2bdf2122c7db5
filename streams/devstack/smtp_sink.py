"""A mail server that keeps every mail as a file and delivers none. Tests make it refuse or hang up."""

import asyncio
import itertools
import os
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Literal
from weakref import WeakSet

from aiosmtpd.smtp import SMTP, Envelope, Session

Stage = Literal["RCPT", "DATA", "ANSWER"]
"""A recipient was named; the mail's text has come in; the mail is kept and the answer is due."""

DROP = "drop the connection"

Policy = Callable[[Stage, str], Awaitable[str | None]]
"""Of the stage and the recipient: None to go on, an answer such as ``"451 later"``, or ``DROP``."""

REFUSED = "451 4.3.0 not now"


async def accept(stage: Stage, recipient: str) -> str | None:
    """The policy of a mail server in good health."""
    return None


def answering(answer: str, at: Stage = "RCPT") -> Policy:
    """A policy that gives this answer to everybody at one stage; ``DROP`` hangs up there."""

    async def policy(stage: Stage, recipient: str) -> str | None:
        return answer if stage == at else None

    return policy


class SmtpSink:
    """Listens on 127.0.0.1. ``policy`` may be changed at any time."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.policy: Policy = accept
        self._server: asyncio.Server | None = None
        self._sessions: WeakSet[SMTP] = WeakSet()
        self._numbers = itertools.count()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen, at the same port each time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._server = await asyncio.get_running_loop().create_server(self._session, "127.0.0.1", self.port)

    async def stop(self, grace: timedelta = timedelta(0)) -> None:
        """Stop listening and cut every connection."""
        if self._server:
            self._server.close()
            for session in list(self._sessions):
                _cut(session)
            await self._server.wait_closed()
            self._server = None

    def mails(self) -> list[EmailMessage]:
        """Every mail that was kept, oldest first. Blocks for as long as it reads."""
        files = sorted(self.folder.glob("*.eml"))
        return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]

    def _session(self) -> SMTP:
        session = SMTP(self, enable_SMTPUTF8=True, hostname="tailrace.sink", loop=asyncio.get_running_loop())
        self._sessions.add(session)
        return session

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._answer(server, "RCPT", address)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        recipient = ", ".join(envelope.rcpt_tos)
        refusal = await self._answer(server, "DATA", recipient)
        if refusal:
            return refusal
        self._keep(envelope, recipient)
        return await self._answer(server, "ANSWER", recipient) or "250 OK"

    async def _answer(self, server: SMTP, stage: Stage, recipient: str) -> str | None:
        answer = await self.policy(stage, recipient)
        if answer == DROP:
            _cut(server)
            return REFUSED
        return answer

    def _keep(self, envelope: Envelope, recipient: str) -> None:
        """Write the mail under a name that sorts by arrival; it appears whole or not at all."""
        name = f"{time.time_ns()}-{os.getpid()}-{next(self._numbers):06}"
        trace = f"Return-Path: <{envelope.mail_from}>\r\nDelivered-To: {recipient}\r\n".encode()
        content = envelope.original_content or b""
        aside = self.folder / f"{name}.part"
        aside.write_bytes(trace + content)
        aside.replace(self.folder / f"{name}.eml")


def _cut(session: SMTP) -> None:
    if isinstance(session.transport, asyncio.WriteTransport):
        session.transport.abort()
