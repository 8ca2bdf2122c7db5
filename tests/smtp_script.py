"""A mail server that hangs up where it is told to, and keeps what it was given."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

CUT = b""
"""As an answer: hang up without one."""

Answer = Callable[[str, str], bytes | None]
"""Of a verb (``CONNECT`` and ``TEXT`` too, and ``KEPT`` when the text is kept and the answer is due) and the recipient
so far: None for the usual answer.
"""

USUAL = {"CONNECT": b"220 scripted", "DATA": b"354 go on", "QUIT": b"221 bye", "EHLO": b"250-scripted\r\n250 SMTPUTF8"}


def as_usual(verb: str, recipient: str) -> bytes | None:
    """A server in good health."""
    return None


@dataclass
class ScriptedServer:
    """``answer`` may be changed at any time. ``kept``: copies by recipient. ``verbs``: how often each was heard.
    ``connections``: opened so far.
    """

    url: str = ""
    answer: Answer = as_usual
    kept: Counter[str] = field(default_factory=Counter)
    verbs: Counter[str] = field(default_factory=Counter)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side hung up, which is its right
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipient = ""
        if self._say(writer, "CONNECT", recipient) == CUT:
            return
        while line := await reader.readline():
            verb = line.split()[0].decode().upper()
            if verb == "RCPT":
                recipient = line.decode().partition("<")[2].partition(">")[0]
            said = self._say(writer, verb, recipient)
            if said == CUT or verb == "QUIT":
                return
            if verb == "DATA" and said == USUAL["DATA"]:
                await reader.readuntil(b"\r\n.\r\n")
                if self.answer("TEXT", recipient) == CUT:
                    return
                self.kept[recipient] += 1
                if self._say(writer, "KEPT", recipient) == CUT:
                    return

    def _say(self, writer: asyncio.StreamWriter, verb: str, recipient: str) -> bytes:
        """What was said; asked for once, for an answer may be drawn by lot."""
        self.verbs[verb] += 1
        given = self.answer(verb, recipient)
        said = USUAL.get(verb, b"250 ok") if given is None else given
        if said != CUT:
            writer.write(said + b"\r\n")
        return said


@asynccontextmanager
async def scripted_server() -> AsyncIterator[ScriptedServer]:
    """One that listens on a free port of loopback."""
    script = ScriptedServer()
    listening = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.url = f"smtp://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield script
    finally:
        listening.close()
