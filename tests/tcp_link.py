"""A link to a PostgreSQL server that can be cut, also in the very moment of a COMMIT."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

Loss = Literal["answer", "order", "silence"]
"""What becomes of a COMMIT: the link is cut when the server has answered it, or before the server has it; or the
link stays, and nothing more comes through to the server, not even that the client has gone.
"""

Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]

COMMIT = b"COMMIT;\x00"
"""How the message ends in which asyncpg orders one."""

CHUNK = 1 << 16


class TcpLink:
    """Carries bytes between clients and one server on 127.0.0.1. Of transactions only those may fail in their COMMIT
    in which a value has ``mark``.
    """

    def __init__(self, url: str, mark: bytes) -> None:
        self._target = urlsplit(url)
        self.mark = mark
        self._server: asyncio.Server | None = None
        self._port = 0
        self._connections: set[Connection] = set()
        self._to_lose: list[Loss] = []
        self.lost: Counter[Loss] = Counter()

    @property
    def url(self) -> str:
        """The server's address by way of this link."""
        login = self._target.netloc.rpartition("@")[0]
        return urlunsplit(self._target._replace(netloc=f"{login}@127.0.0.1:{self._port}"))

    async def mend(self) -> None:
        """Let clients connect, at the same port as ever."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """End every connection and refuse new ones."""
        if self._server:
            self._server.close()
        for connection in self._connections:
            connection.hang_up()
        await asyncio.gather(*(connection.ended.wait() for connection in self._connections))

    def lose_next(self, what: Loss) -> None:
        """Fail the connection of the next COMMIT in this way."""
        self._to_lose.append(what)

    @property
    def expects_loss(self) -> bool:
        """Whether no COMMIT has come by yet for all that is to be lost."""
        return bool(self._to_lose)

    def loss(self) -> Loss | None:
        """What becomes of the COMMIT that is just under way."""
        if not self._to_lose:
            return None
        what = self._to_lose.pop()
        self.lost[what] += 1
        return what

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server = await asyncio.open_connection("127.0.0.1", self._target.port)
        except OSError:
            writer.transport.abort()
            return
        connection = Connection(self, (reader, writer), server)
        self._connections.add(connection)
        await connection.carry()
        self._connections.discard(connection)


class Connection:
    """One client's connection, both ways."""

    def __init__(self, link: TcpLink, client: Pipe, server: Pipe) -> None:
        self._link = link
        self._from_client, self._to_client = client
        self._from_server, self._to_server = server
        self._is_marked = False
        self._answer_is_lost = False
        self.ended = asyncio.Event()

    async def carry(self) -> None:
        """Returns when either side has hung up, or the link was cut."""
        ways = [asyncio.create_task(self._there()), asyncio.create_task(self._back())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        self.hang_up()
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        self.ended.set()

    def hang_up(self) -> None:
        """End it on both sides, without a word."""
        self._to_client.transport.abort()
        self._to_server.transport.abort()

    async def _there(self) -> None:
        while chunk := await self._from_client.read(CHUNK):
            self._is_marked |= self._link.mark in chunk
            lost = self._link.loss() if self._is_marked and chunk.endswith(COMMIT) else None
            self._is_marked &= not chunk.endswith(COMMIT)
            if lost == "order":
                return
            if lost == "silence":
                await asyncio.Event().wait()
            self._answer_is_lost = lost == "answer"
            self._to_server.write(chunk)
            await self._to_server.drain()

    async def _back(self) -> None:
        while chunk := await self._from_server.read(CHUNK):
            if self._answer_is_lost:
                return
            self._to_client.write(chunk)
            await self._to_client.drain()


@asynccontextmanager
async def link_to(url: str, mark: bytes) -> AsyncIterator[TcpLink]:
    """A link to the server of this address; at the end it is cut."""
    link = TcpLink(url, mark)
    await link.mend()
    try:
        yield link
    finally:
        await link.cut()
