"""What cannot be understood, run or stored is a dead letter with its reason, and the stream goes on."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.commands import Command, command_id
from schemas.envelope import Headers, Identity
from streams.kafka_client import full_name, producer_for
from streams.settings import Settings
from tests.events import emit, post_uploaded, records_of, runs, states, user_created
from tests.greeting import ended, greet_user, make_effects_table
from tests.waiting import eventually
from tests.workers import running_worker


@pytest.fixture
async def effects(engine: AsyncEngine) -> AsyncEngine:
    await make_effects_table(engine)
    return engine


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff{not json", "not JSON"),
        (b'{"user_id": 1}', "missing required field"),
        (b'{"user_id": [], "email": "e", "username": "u", "created_at": "2026-01-01T00:00:00Z"}', "user_id"),
        (b'{"version": 9, "user_id": 1, "email": "", "username": "", "created_at": "2026-01-01T00:00:00Z"}', "version"),
        (b'{"user_id": "\\u0000", "email": "", "username": "", "created_at": "2026-01-01T00:00:00Z"}', "U+0000"),
        (None, "no value"),
    ],
)  # fmt: skip
async def test_an_undecodable_event_is_a_dead_letter_with_its_bytes_untouched_and_the_stream_goes_on(
    settings: Settings, effects: AsyncEngine, value: bytes | None, reason: str
) -> None:
    async with running_worker(settings, [greet_user]):
        await _send(settings, "user.created", value, [("ce_id", b"x"), ("odd", b"\xfe\x00")])
        await emit(effects, user_created(7))
        (letter,) = await eventually(lambda: records_of(settings, "user.created.dlq"))
        await eventually(lambda: ended(effects, 1))

    headers = dict(letter.headers)
    assert (letter.value, letter.key, headers["odd"]) == (value, b"k", b"\xfe\x00")
    assert reason in headers["tailrace-reason"].decode()
    assert headers["tailrace-topic"] == b"user.created"
    assert await states(effects) == {"done": 1}


async def _send(settings: Settings, topic: str, value: bytes | None, headers: Headers) -> None:
    producer = producer_for(settings.kafka)
    await producer.start()
    await producer.send_and_wait(full_name(settings.kafka, topic), value, key=b"k", headers=headers)
    await producer.stop()


async def test_an_undecodable_command_is_a_dead_letter(settings: Settings, effects: AsyncEngine) -> None:
    async with running_worker(settings, [greet_user]):
        await _send(settings, "queue.emails", b'{"task": 1}', [])
        (letter,) = await eventually(lambda: records_of(settings, "queue.emails.dlq"))

    assert letter.value == b'{"task": 1}'
    assert b"not of the schema" in dict(letter.headers)["tailrace-reason"]


def _command(task_name: str, caused_at: datetime, **args: Any) -> bytes:
    cause = Identity("/test", "user.created", "1")
    return msgspec.json.encode(
        Command(id=command_id(cause, task_name), task=task_name, args=args, caused_at=caused_at, cause=cause)
    )


async def test_a_command_with_wrong_arguments_is_dead_at_once(settings: Settings, effects: AsyncEngine) -> None:
    async with running_worker(settings, [greet_user]):
        await _send(settings, "queue.emails", _command("greet_user", datetime.now(UTC), user="x"), [])
        await eventually(lambda: ended(effects, 1))

    (run,) = await runs(effects)
    assert run.state == "dead"
    assert "wrong arguments for greet_user" in run.error


async def test_a_command_for_an_unknown_task_waits_in_the_outbox(settings: Settings, effects: AsyncEngine) -> None:
    async with running_worker(settings, [greet_user]):
        await _send(settings, "queue.emails", _command("greet_martian", datetime.now(UTC)), [])
        waiting = await eventually(lambda: _outbox(effects))

    assert [(row.topic, row.state) for row in waiting] == [("queue.emails", "pending")]
    assert waiting[0].due_at > datetime.now(UTC) + timedelta(seconds=30)


async def _outbox(engine: AsyncEngine) -> Any:
    async with engine.connect() as connection:
        return (await connection.execute(text("SELECT * FROM tailrace.outbox ORDER BY id"))).all()


async def test_a_command_from_before_the_ledger_is_refused_with_its_reason(
    settings: Settings, effects: AsyncEngine
) -> None:
    async with running_worker(settings, [greet_user]):
        await _send(settings, "queue.emails", _command("greet_user", datetime(2001, 1, 1, tzinfo=UTC), user_id=1), [])
        (letter,) = await eventually(lambda: records_of(settings, "queue.emails.dlq"))

    assert b"could not tell whether this was done before" in dict(letter.headers)["tailrace-reason"]
    assert await runs(effects) == []


async def test_a_command_that_the_ledger_cannot_store_does_not_hold_back_the_others(
    settings: Settings, effects: AsyncEngine
) -> None:
    async with running_worker(settings, [greet_user]):
        poison = _command("greet_user", datetime.now(UTC), user_id="@").replace(b'"@"', b"1e400000")
        await _send(settings, "queue.emails", poison, [])
        await _send(settings, "queue.emails", _command("greet_user", datetime.now(UTC), user_id=7), [])
        await eventually(lambda: ended(effects, 1))
        (letter,) = await eventually(lambda: records_of(settings, "queue.emails.dlq"))

    assert letter.value == poison
    assert await states(effects) == {"done": 1}


async def test_a_reason_that_postgresql_cannot_hold_is_stored_escaped(settings: Settings, effects: AsyncEngine) -> None:
    async with running_worker(settings, [greet_user]):
        await emit(effects, user_created(50))
        await eventually(lambda: ended(effects, 1))
        (letter,) = await eventually(lambda: records_of(settings, "queue.emails.dlq"))

    (run,) = await runs(effects)
    assert (run.state, run.error) == ("dead", r"550 bo\udceete pleine \x00")
    assert dict(letter.headers)["tailrace-reason"] == rb"550 bo\udceete pleine \x00"


async def test_an_event_whose_headers_are_null_is_understood_by_router_and_counter(
    settings: Settings, effects: AsyncEngine
) -> None:
    headers: Headers = [("ce_id", b"x"), ("ce_source", None), ("ce_time", None)]
    post = msgspec.json.encode(post_uploaded(1, 1, "quiet"))
    async with running_worker(settings, [greet_user]):
        await _send(settings, "post.uploaded", post, headers)
        await _send(settings, "user.created", msgspec.json.encode(user_created(7)), headers)
        await eventually(lambda: ended(effects, 1))
        await eventually(lambda: _is_counted(effects))


async def _is_counted(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT sum(next_offset) FROM tailrace.trending_sources"))
        return bool(found.scalar_one() == 1)
