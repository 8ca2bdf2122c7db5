"""The relay on real PostgreSQL and Kafka: order, set-aside rows, due times, standby."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.envelope import OLDEST_RECORD, rfc3339
from schemas.topics import FACT_RETENTION
from streams import relay_sql
from streams.db import direct_connection
from streams.metrics import Metrics
from streams.outbox import OutboxRow, put
from streams.settings import Settings
from streams.topics import create_topics
from streams.trending.counting import LATE
from tests.events import emit, post_uploaded, records_of, user_created
from tests.relays import left, nothing_left, running_relay
from tests.waiting import eventually


@pytest.fixture(autouse=True)
async def topics(settings: Settings) -> None:
    await create_topics(settings)


def row(topic: str = "queue.default", **changes: Any) -> OutboxRow:
    fields = {"key": b"k", "payload": b"{}", "occurred_at": datetime.now(UTC)}
    return OutboxRow(topic=topic, **{**fields, **changes})


async def test_events_of_a_key_keep_their_order(settings: Settings, engine: AsyncEngine) -> None:
    async with running_relay(settings):
        await emit(engine, *(post_uploaded(number, author_id=number % 3) for number in range(300)))
        await eventually(lambda: nothing_left(engine))

    by_author: dict[bytes, list[int]] = {}
    for record in await records_of(settings, "post.uploaded"):
        by_author.setdefault(record.key, []).append(int(dict(record.headers)["ce_id"].split(b":")[1]))
    assert sum(map(len, by_author.values())) == 300
    assert all(posts == sorted(posts) for posts in by_author.values())


async def test_an_event_carries_its_identity_and_its_own_time(settings: Settings, engine: AsyncEngine) -> None:
    event = user_created(7, created_at=datetime.now(UTC).replace(microsecond=123000) - timedelta(days=3))

    async with running_relay(settings):
        await emit(engine, event)
        (record,) = await eventually(lambda: records_of(settings, "user.created"))

    headers = dict(record.headers)
    assert headers["ce_id"].decode() == event.natural_id
    assert headers["ce_time"].decode() == rfc3339(event.created_at)
    assert (headers["ce_source"], headers["ce_specversion"]) == (b"/backend", b"1.0")
    assert record.timestamp == int(event.created_at.timestamp() * 1000)
    assert record.key == b"7"


async def test_the_record_of_an_old_event_has_a_time_that_no_topic_is_rid_of_at_once(
    settings: Settings, engine: AsyncEngine
) -> None:
    event, began = user_created(7, created_at=datetime(1999, 11, 1, tzinfo=UTC)), datetime.now(UTC)

    async with running_relay(settings):
        await emit(engine, event)
        (record,) = await eventually(lambda: records_of(settings, "user.created"))

    age = began - datetime.fromtimestamp(record.timestamp / 1000, UTC)
    assert OLDEST_RECORD - timedelta(minutes=1) < age < OLDEST_RECORD + timedelta(seconds=1)
    assert FACT_RETENTION - timedelta(days=4) > OLDEST_RECORD and LATE < OLDEST_RECORD
    assert dict(record.headers)["ce_time"] == b"1999-11-01T00:00:00.000000Z"
    assert json.loads(record.value)["created_at"] == "1999-11-01T00:00:00Z"


async def test_a_rolled_back_transaction_says_nothing(settings: Settings, engine: AsyncEngine) -> None:
    with suppress(ZeroDivisionError):
        async with engine.begin() as connection:
            await put(connection, row())
            raise ZeroDivisionError

    assert await nothing_left(engine)


async def test_a_row_is_published_when_it_is_due_and_not_before(settings: Settings, engine: AsyncEngine) -> None:
    due = datetime.now(UTC) + timedelta(seconds=1.5)
    async with engine.begin() as connection:
        await put(connection, row(due_at=due))

    async with running_relay(settings):
        assert await records_of(settings, "queue.default") == []
        await eventually(lambda: nothing_left(engine))

    assert datetime.now(UTC) >= due
    assert len(await records_of(settings, "queue.default")) == 1


@pytest.mark.parametrize(
    ("poison", "reason"),
    [
        (row(topic="no.such.topic"), "is not one of ours"),
        (row(payload=b"x" * 1_200_000), "too large for a record of this topic: 1200000 bytes"),
        (row(payload=b"x" * 3_000_000), "too large for a record of this topic: 3000000 bytes"),
    ],
    ids=["unknown topic", "too large for the topic", "too large for any request"],
)
async def test_a_row_that_cannot_be_sent_is_set_aside_and_the_others_go_out(
    settings: Settings, engine: AsyncEngine, poison: OutboxRow, reason: str
) -> None:
    async with engine.begin() as connection:
        await put(connection, row())
        await put(connection, poison)
        await put(connection, row())

    async with running_relay(settings):
        (aside,) = await eventually(lambda: _all_aside(engine))

    assert reason in aside.error
    assert len(await records_of(settings, "queue.default")) == 2


async def _all_aside(engine: AsyncEngine) -> list[Any]:
    rows = await left(engine)
    return rows if all(found.state == "set_aside" for found in rows) else []


async def test_bytes_and_headers_of_any_kind_arrive_untouched(settings: Settings, engine: AsyncEngine) -> None:
    odd = [("text", b"caf\xc3\xa9"), ("binary", b"\xff\x00"), ("none", None), ("text", b"again")]
    async with engine.begin() as connection:
        await put(connection, row(payload=b"\xff\x00", key=b"\xfe", headers=odd))

    async with running_relay(settings):
        (record,) = await eventually(lambda: records_of(settings, "queue.default"))

    assert (record.value, record.key, list(record.headers)) == (b"\xff\x00", b"\xfe", odd)


async def test_one_relay_is_active_and_another_takes_over_when_its_connection_dies(
    settings: Settings, engine: AsyncEngine
) -> None:
    async with running_relay(settings) as first:
        await eventually(lambda: _active(first))
        async with running_relay(settings) as second:
            await emit(engine, user_created(1))
            await eventually(lambda: nothing_left(engine))
            assert not _active(second)

            await _kill_active(engine)
            await emit(engine, user_created(2))
            await eventually(lambda: nothing_left(engine), within=10)

            assert _active(first) != _active(second)


def _active(metrics: Metrics) -> bool:
    return metrics.registry.get_sample_value("tailrace_relay_active") == 1


async def _kill_active(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text("""SELECT pg_terminate_backend(pid) FROM pg_locks
                     WHERE locktype = 'advisory' AND granted
                       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""")
        )


async def test_a_sleeping_relay_is_woken_by_the_writer(settings: Settings, engine: AsyncEngine) -> None:
    async with running_relay(settings):
        await eventually(lambda: _idle(engine))

        await emit(engine, user_created(1))

        await eventually(lambda: nothing_left(engine), within=2)


async def _idle(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        return bool((await connection.execute(text("SELECT idle FROM tailrace.relay"))).scalar_one())


async def test_emit_refuses_what_is_no_event(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(Exception, match=r"user\.renamed is not an event type"):
            await connection.execute(text("SELECT tailrace.emit('user.renamed', '1', '{}')"))
    async with engine.connect() as connection:
        with pytest.raises(Exception, match="needs user_id in its data"):
            await connection.execute(text("SELECT tailrace.emit('user.created', '1', '{}')"))


async def test_an_event_of_tomorrow_does_not_hold_back_those_of_today(settings: Settings, engine: AsyncEngine) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    users = [user_created(number, created_at=tomorrow) if number == 3 else user_created(number) for number in range(40)]

    async with running_relay(settings):
        await emit(engine, *users)
        await eventually(lambda: nothing_left(engine))

    assert len(await records_of(settings, "user.created")) == 40


async def test_a_copy_that_is_put_again_while_it_is_published_is_not_lost(
    settings: Settings, engine: AsyncEngine
) -> None:
    """The relay deletes a row only as it was when it was read."""
    due = datetime.now(UTC)
    async with engine.begin() as connection:
        await put(connection, row(due_at=due, dedupe_key="live:1"))
    (read,) = await left(engine)

    async with engine.begin() as connection:
        await put(connection, row(due_at=due + timedelta(minutes=1), dedupe_key="live:1"))
    async with direct_connection(settings.database) as connection:
        await connection.execute(relay_sql.DELETE, [read.id], [read.due_at])

    (kept,) = await left(engine)
    assert kept.due_at == due + timedelta(minutes=1)
