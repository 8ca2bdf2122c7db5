"""A relay that runs, and what is left for it in the outbox."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.health import Health
from streams.metrics import Metrics
from streams.relay import Relay
from streams.settings import Settings


@asynccontextmanager
async def running_relay(settings: Settings) -> AsyncIterator[Metrics]:
    metrics = Metrics()
    task = asyncio.create_task(Relay(settings, metrics, Health().progress("relay")).run())
    try:
        yield metrics
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def left(engine: AsyncEngine) -> list[Any]:
    async with engine.connect() as connection:
        return list((await connection.execute(text("SELECT * FROM tailrace.outbox ORDER BY id"))).all())


async def nothing_left(engine: AsyncEngine) -> bool:
    return not await left(engine)
