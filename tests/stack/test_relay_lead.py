"""One relay leads and others take over, also from one that hangs and keeps its connection."""

import asyncio
import logging
import os
import signal
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.envelope import header
from streams import relay_sql
from streams.db import direct_connection
from streams.health import Health, Progress
from streams.metrics import Metrics
from streams.relay import Relay
from streams.relay_lead import SILENT_AFTER, Lead, LeadLapsed, stand_by
from streams.settings import Settings
from streams.topics import create_topics
from tests.events import emit, records_of, user_created
from tests.processes import Running, running
from tests.waiting import eventually

TAKE_OVER = 5.0


@pytest.fixture
def progress() -> Progress:
    return Health().progress("relay")


async def leads(worker: Running) -> bool:
    return "\ntailrace_relay_active 1.0" in (await worker.get("/metrics"))[1]


async def stands_by(worker: Running) -> bool:
    return not await leads(worker)


async def all_sent(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        return not (await connection.execute(text("SELECT count(*) FROM tailrace.outbox"))).scalar_one()


async def test_a_stopped_leader_is_replaced_within_five_seconds_and_sends_nothing_twice_when_it_goes_on(
    settings: Settings, environment: dict[str, str], engine: AsyncEngine, tmp_path: Path
) -> None:
    await create_topics(settings)
    async with AsyncExitStack() as stopping:
        first = await stopping.enter_async_context(running("worker", environment, tmp_path / "first"))
        await eventually(lambda: leads(first))
        second = await stopping.enter_async_context(running("worker", environment, tmp_path / "second"))
        await emit(engine, user_created(1))
        await eventually(lambda: all_sent(engine))

        os.kill(first.child.pid, signal.SIGSTOP)
        stopped_at = asyncio.get_running_loop().time()
        try:
            await emit(engine, user_created(2))
            await eventually(lambda: all_sent(engine), within=15)
            took = asyncio.get_running_loop().time() - stopped_at
        finally:
            os.kill(first.child.pid, signal.SIGCONT)
        await eventually(lambda: stands_by(first))
        await emit(engine, user_created(3))
        await eventually(lambda: all_sent(engine))

        assert took < TAKE_OVER
        assert await leads(second)
    records = await records_of(settings, "user.created")
    assert sorted(header(found.headers, "ce_id") or "" for found in records) == [f"user.created:{n}" for n in (1, 2, 3)]


async def test_a_leader_that_waits_for_the_broker_keeps_the_lead(settings: Settings, progress: Progress) -> None:
    silent_broker = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    address = f"127.0.0.1:{silent_broker.sockets[0].getsockname()[1]}"
    kafka = settings.kafka.model_copy(update={"bootstrap_servers": address})
    metrics = Metrics()
    relay = Relay(settings.model_copy(update={"kafka": kafka}), metrics, progress)
    leading = asyncio.create_task(relay.run())
    await eventually(lambda: metrics.registry.get_sample_value("tailrace_relay_active") == 1)

    async with direct_connection(settings.database) as other:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stand_by(other, progress), SILENT_AFTER.total_seconds() + 2)

    assert metrics.registry.get_sample_value("tailrace_relay_active") == 1
    leading.cancel()
    with suppress(asyncio.CancelledError):
        await leading
    silent_broker.close()


async def test_who_keeps_the_connection_and_says_nothing_loses_the_lead(settings: Settings, progress: Progress) -> None:
    async with direct_connection(settings.database) as hung, direct_connection(settings.database) as other:
        assert await hung.fetchval(relay_sql.TRY_LOCK)

        lead = await asyncio.wait_for(stand_by(other, progress), TAKE_OVER)

        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await hung.fetchval(relay_sql.TOUCH)
        assert await lead.fetch(relay_sql.TOUCH)


async def test_a_leader_at_work_in_the_database_is_not_silent(settings: Settings, progress: Progress) -> None:
    async with direct_connection(settings.database) as leading, direct_connection(settings.database) as other:
        assert await leading.fetchval(relay_sql.TRY_LOCK)
        at_work = asyncio.create_task(leading.fetchval("SELECT pg_sleep(30)"))

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stand_by(other, progress), SILENT_AFTER.total_seconds() + 1)

        assert not at_work.done()
        at_work.cancel()
        with suppress(asyncio.CancelledError):
            await at_work


async def test_what_was_read_before_a_stop_is_not_sent_after_it(settings: Settings) -> None:
    now = 100.0
    async with direct_connection(settings.database) as connection:
        lead = Lead(connection, now=lambda: now)
        await lead.fetch(relay_sql.TOUCH)

        now += SILENT_AFTER.total_seconds() + 0.1

        with pytest.raises(LeadLapsed):
            lead.require()
        await lead.execute(relay_sql.TOUCH)
        lead.require()


async def test_a_role_that_may_not_end_the_leaders_session_says_which_grant_it_needs(
    settings: Settings, progress: Progress, caplog: pytest.LogCaptureFixture
) -> None:
    role = urlsplit(settings.database.url).path[1:] + "_standby"
    async with direct_connection(settings.database) as hung:
        assert await hung.fetchval(relay_sql.TRY_LOCK)
        await hung.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'standby'")
        other = await asyncpg.connect(settings.database.url, user=role, password="standby")
        try:
            with caplog.at_level(logging.WARNING), pytest.raises(TimeoutError):
                await asyncio.wait_for(stand_by(other, progress), 1)
        finally:
            await other.close()
            await hung.execute(f"DROP ROLE {role}")

    assert f"GRANT pg_read_all_stats, pg_signal_backend TO {role}" in caplog.text
