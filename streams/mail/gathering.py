"""Statements for many at once: while one batch is being written, the next gathers, so a lone one waits for nobody."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from streams.db import is_passing

T = TypeVar("T")
R = TypeVar("R")

LARGEST = 200


class Gathered(Generic[T, R]):
    """Calls ``write`` with what has gathered; it answers each item with a result, or the error that is its own."""

    def __init__(self, write: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]]) -> None:
        self._write = write
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def __call__(self, item: T) -> R:
        """This item's result. Raises its error, and what the database says of its batch."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all(), name="statements for many mails")
        return await answer

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                count = min(LARGEST, len(self._waiting))
                await self._answer([self._waiting.popleft() for _ in range(count)])
        finally:
            self._writing = None

    async def _answer(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._write([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - it goes to those who wait
            if len(batch) == 1 or is_passing(error):
                for _, answer in batch:
                    _settle(answer, error)
                return
            for single in batch:  # one of them cannot be stored; the others can
                await self._answer([single])
            return
        for (_, answer), result in zip(batch, results, strict=True):
            _settle(answer, result)


def _settle(answer: "asyncio.Future[R]", result: R | Exception) -> None:
    if answer.done():  # who asked has been cancelled
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
