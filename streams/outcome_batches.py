"""Record the endings of many runs in one statement: those that leave no rows beside the ledger's own."""

import asyncio
from collections import deque

from streams.claims import Claim, Ending, LostClaim
from streams.db import until_available
from streams.ledger import Ledger

LARGEST = 500


class OutcomeBatches:
    """While one batch is being written the next gathers, so a lone ending waits for nobody."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: deque[tuple[Claim, Ending, asyncio.Future[None]]] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def record(self, claim: Claim, ending: Ending) -> None:
        """Returns when the ending is committed, however long the database is away.

        Raises ``LostClaim`` if the run is not ours any more, and what the database says of an ending that it
        cannot store.
        """
        recorded = asyncio.get_running_loop().create_future()
        self._waiting.append((claim, ending, recorded))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all(), name="record outcomes")
        await recorded

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                count = min(LARGEST, len(self._waiting))
                await self._write([self._waiting.popleft() for _ in range(count)])
        finally:
            self._writing = None

    async def _write(self, batch: list[tuple[Claim, Ending, asyncio.Future[None]]]) -> None:
        endings = [(claim, ending) for claim, ending, _ in batch]
        try:
            ours = await until_available(lambda: self._ledger.record_many(endings), "record outcomes")
        except Exception as error:  # noqa: BLE001 - it goes to whoever waits for this ending
            if len(batch) == 1:
                _answer(batch[0][2], error)
                return
            for single in batch:  # one of them cannot be stored; the others can
                await self._write([single])
            return
        for claim, _, recorded in batch:
            lost = None if claim.id in ours else LostClaim(f"run {claim.id} is no longer {claim.worker}'s")
            _answer(recorded, lost)


def _answer(recorded: asyncio.Future[None], error: Exception | None) -> None:
    if recorded.done():  # who asked has been cancelled
        return
    if error:
        recorded.set_exception(error)
    else:
        recorded.set_result(None)
