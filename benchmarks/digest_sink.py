"""A mail server that counts: `python -m benchmarks.digest_sink PORT DELAY_MS FILE`.

It answers each command after DELAY_MS, as a server does that is not on the same machine, and writes the number of mails
that it has taken to FILE.
"""

import asyncio
import sys
from pathlib import Path

import uvloop

ANSWERS = {b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}


class Sink:
    """Takes everything and keeps nothing."""

    def __init__(self, delay: float, file: Path) -> None:
        self._delay, self._file = delay, file
        self._taken = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One conversation."""
        await self._say(writer, b"220 sink\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            await self._say(writer, ANSWERS.get(verb, b"250 ok\r\n"))
            if verb == b"QUIT":
                break
            if verb == b"DATA":
                await reader.readuntil(b"\r\n.\r\n")
                self._taken += 1
                await self._say(writer, b"250 kept\r\n")
        writer.close()

    async def _say(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        if self._delay:
            await asyncio.sleep(self._delay)
        writer.write(answer)

    async def count(self) -> None:
        """For ever."""
        while True:
            self._file.write_text(str(self._taken))
            await asyncio.sleep(0.02)


async def run(port: int, delay: float, file: Path) -> None:
    """Until the process is ended."""
    sink = Sink(delay, file)
    async with await asyncio.start_server(sink.serve, "127.0.0.1", port):
        await sink.count()


if __name__ == "__main__":
    uvloop.run(run(int(sys.argv[1]), float(sys.argv[2]) / 1000, Path(sys.argv[3])))
