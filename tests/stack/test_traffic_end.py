"""The end of the traffic: what is counted as emitted then is all that was committed, so a drain misses nothing."""

import asyncio
import random

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backend import backend_tables
from schemas.tables import outbox
from streams.devstack.sample.history import create_sample
from streams.devstack.sample.traffic import Traffic
from streams.settings import Settings
from tests.waiting import eventually


async def test_traffic_ends_after_what_it_is_at_and_has_counted_it(engine: AsyncEngine, settings: Settings) -> None:
    backend, said = backend_tables(), list[str]()
    await create_sample(engine, backend, settings.media.root)
    traffic = Traffic(engine, backend, settings.media.root, random.Random(7), 200, 200)
    living = asyncio.create_task(traffic.run(said.append))
    await eventually(lambda: traffic.emitted.users and traffic.emitted.posts, what="people to live")

    traffic.stop()
    await living

    async with engine.connect() as connection:
        committed = (await connection.execute(sa.select(sa.func.count()).select_from(outbox))).scalar_one()
    assert traffic.emitted.events == committed
    assert said == []
