"""A dispatcher that is told to stop while commands arrive."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import cast

import pytest

from streams.dispatcher import Dispatcher
from streams.health import Health
from streams.pipeline import Pipeline
from streams.records import Delivery, Record
from streams.runs import Run


class Refusing:
    """A pipeline that counts what it is asked to claim; all of it is another worker's."""

    def __init__(self) -> None:
        self.asked = 0

    async def admit(self, deliveries: Sequence[Delivery]) -> list[Run]:
        self.asked += len(deliveries)
        return []


@pytest.mark.parametrize("turns", range(6))
async def test_it_claims_nothing_more_however_the_order_to_stop_meets_a_command(turns: int) -> None:
    pipeline = Refusing()
    progress = Health().progress("dispatcher")
    dispatcher = Dispatcher(cast(Pipeline, pipeline), {"users": 1}, 4, {"users": 4}, frozenset, progress)
    running = asyncio.create_task(dispatcher.run())
    await asyncio.sleep(0)

    dispatcher.put("users", _delivery(0))
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    await dispatcher.finish(timedelta(seconds=1))
    asked = pipeline.asked
    dispatcher.put("users", _delivery(1))
    await asyncio.wait([running], timeout=5)

    assert running.cancelled()
    assert pipeline.asked == asked


def _delivery(offset: int) -> Delivery:
    return Delivery(Record("queue.users", 0, offset, None, b"", [], 0), lambda: None)
