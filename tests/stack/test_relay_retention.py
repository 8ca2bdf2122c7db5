"""Old events and a broker that deletes by the time of records."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.devstack import kafka
from streams.devstack.kafka import Kafka
from streams.devstack.processes import free_port
from streams.devstack.readiness import tell_nobody
from streams.devstack.stack import GRACE, default_cache
from streams.kafka_client import full_name, producer_for
from streams.settings import Settings
from streams.topics import create_topics
from tests.events import emit, post_uploaded, records_of, user_created
from tests.relays import nothing_left, running_relay
from tests.trending import publish
from tests.waiting import eventually

pytestmark = pytest.mark.faults

LONG_AGO = datetime.now(UTC) - timedelta(days=400)


async def test_old_events_outlive_a_broker_that_deletes_at_once(
    settings: Settings,
    engine: AsyncEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
) -> None:
    """Without the time that relay and publishers give them: see what becomes of the one that another client sends."""
    if not pytestconfig.getoption("--full"):
        pytest.skip("needs a broker of its own, which looks for old records each second: --full")
    monkeypatch.setitem(kafka.SETTINGS, "log.retention.check.interval.ms", "1000")
    monkeypatch.setitem(kafka.SETTINGS, "log.initial.task.delay.ms", "0")
    broker = Kafka(tmp_path / "kafka", default_cache(), tmp_path / "kafka.log", (free_port(), free_port()), tell_nobody)
    settings = settings.model_copy(
        update={"kafka": settings.kafka.model_copy(update={"bootstrap_servers": broker.bootstrap_servers})}
    )
    await broker.start()
    try:
        await create_topics(settings)
        async with running_relay(settings):
            await emit(engine, user_created(7, created_at=LONG_AGO))
            await eventually(lambda: nothing_left(engine))
        await publish(settings, post_uploaded(1, 7, created_at=LONG_AGO))
        await _by_its_own_time(settings, "post.deleted")

        await eventually(lambda: _is_empty(settings, "post.deleted"), within=60)

        left = [len(await records_of(settings, topic)) for topic in ("user.created", "post.uploaded")]
        assert left == [1, 1]
    finally:
        await broker.stop(GRACE)


async def _by_its_own_time(settings: Settings, topic: str) -> None:
    producer = producer_for(settings.kafka)
    await producer.start()
    at = int(LONG_AGO.timestamp() * 1000)
    await producer.send_and_wait(full_name(settings.kafka, topic), b"{}", key=b"7", timestamp_ms=at)
    await producer.stop()


async def _is_empty(settings: Settings, topic: str) -> bool:
    return not await records_of(settings, topic)
