"""From event to effect, on real Kafka and PostgreSQL, with tasks made for the test."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.commands import Command, command_id
from schemas.envelope import Identity
from schemas.events import Id, UserCreated
from streams.kafka_client import full_name, producer_for
from streams.settings import Settings
from streams.task import Context, Dead, Done, Outcome, Retry, RetryPolicy, Skip, task
from tests.events import emit, records_of, runs, states, user_created
from tests.waiting import eventually
from tests.workers import running_worker

SOON = RetryPolicy(max_attempts=3, first=timedelta(milliseconds=50), jitter=0)


class Greeting(msgspec.Struct):
    """Arguments of the test's tasks."""

    user_id: Id


def greeting(fact: UserCreated) -> Greeting:
    return Greeting(fact.user_id)


async def write_effect(connection: AsyncConnection) -> Mapping[str, Any]:
    await connection.execute(text("INSERT INTO effects DEFAULT VALUES"))
    return {"rows": 1}


@task(queue="emails", on=UserCreated, args=greeting, retry=SOON, permanent=(PermissionError,))
async def greet_user(args: Greeting, ctx: Context) -> Outcome:
    """Ends in the way that the user's id says."""
    match args.user_id:
        case 1:
            return Skip("nobody to greet")
        case 2:
            return Dead("never")
        case 3:
            return Retry("not yet", after=timedelta(milliseconds=20))
        case 4:
            raise RuntimeError("boom")
        case 5:
            raise PermissionError("forbidden")
        case 6 if ctx.claim.attempt == 1:
            raise OSError("down for a moment")
    return Done({"greeted": args.user_id}, effect=write_effect)


@pytest.fixture
async def effects(engine: AsyncEngine) -> AsyncEngine:
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE effects (id bigint GENERATED ALWAYS AS IDENTITY)"))
    return engine


async def count_effects(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM effects"))).scalar_one())


async def test_every_outcome_is_recorded_and_nothing_is_lost(settings: Settings, effects: AsyncEngine) -> None:
    async with running_worker(settings, [greet_user]) as parts:
        await emit(effects, *(user_created(number) for number in range(1, 9)))
        await eventually(lambda: _ended(effects, 8), what="8 runs ended")
        balance = parts.watermark.balance()

    found = {run.args["user_id"]: run for run in await runs(effects)}
    assert {number: run.state for number, run in found.items()} == {
        1: "skipped", 2: "dead", 3: "dead", 4: "dead", 5: "dead", 6: "done", 7: "done", 8: "done",
    }  # fmt: skip
    assert {number: run.attempt for number, run in found.items()} == {1: 1, 2: 1, 3: 3, 4: 3, 5: 1, 6: 2, 7: 1, 8: 1}
    assert found[7].outcome == {"greeted": 7, "rows": 1}
    assert found[1].outcome == {"reason": "nobody to greet"}
    assert "boom" in found[4].error
    assert await count_effects(effects) == 3
    assert balance == 0


async def _ended(engine: AsyncEngine, wanted: int) -> bool:
    found = await states(engine)
    return sum(found.get(state, 0) for state in ("done", "skipped", "dead")) == wanted


async def test_a_dead_command_is_a_dead_letter_with_the_reason_in_its_headers(
    settings: Settings, effects: AsyncEngine
) -> None:
    async with running_worker(settings, [greet_user]):
        await emit(effects, user_created(4))
        (letter,) = await eventually(lambda: records_of(settings, "queue.emails.dlq"))

    headers = dict(letter.headers)
    assert b"gave up after 3 attempts" in headers["tailrace-reason"]
    assert b"boom" in headers["tailrace-reason"]
    assert (headers["tailrace-topic"], headers["tailrace-task"]) == (b"queue.emails", b"greet_user")
    assert msgspec.json.decode(letter.value, type=Command).args == {"user_id": 4}


async def test_a_repeated_event_does_nothing_twice(settings: Settings, effects: AsyncEngine) -> None:
    event = user_created(7)

    async with running_worker(settings, [greet_user]) as parts:
        await emit(effects, *[event] * 20)
        await eventually(lambda: _taken(parts.metrics.registry, "queue.emails", 20))

    assert await states(effects) == {"done": 1}
    assert await count_effects(effects) == 1


def _taken(registry: Any, topic: str, wanted: int) -> bool:
    states = ("done", "skipped", "duplicate", "dead", "parked")
    ended = [registry.get_sample_value("tailrace_ended_total", {"topic": topic, "state": s}) or 0 for s in states]
    return sum(ended) >= wanted


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
        await eventually(lambda: _ended(effects, 1))

    headers = dict(letter.headers)
    assert (letter.value, letter.key, headers["odd"]) == (value, b"k", b"\xfe\x00")
    assert reason in headers["tailrace-reason"].decode()
    assert headers["tailrace-topic"] == b"user.created"
    assert await states(effects) == {"done": 1}


async def _send(settings: Settings, topic: str, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
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
        await eventually(lambda: _ended(effects, 1))

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


async def test_offsets_are_committed_in_order_up_to_what_has_ended(settings: Settings, effects: AsyncEngine) -> None:
    async with running_worker(settings, [greet_user]):
        await emit(effects, *(user_created(number) for number in range(10, 60)))
        await eventually(lambda: _ended(effects, 50))

    async with running_worker(settings, [greet_user]) as again:
        await emit(effects, user_created(60))
        await eventually(lambda: _ended(effects, 51))
        repeated = again.metrics.registry.get_sample_value(
            "tailrace_ended_total", {"topic": "queue.emails", "state": "duplicate"}
        )

    assert not repeated, "a worker that stopped in order leaves nothing to be delivered again"


async def test_a_run_longer_than_its_timeout_is_tried_again(settings: Settings, effects: AsyncEngine) -> None:
    never = asyncio.Event()

    @task(queue="users", on=UserCreated, args=greeting, retry=RetryPolicy(1), timeout=timedelta(milliseconds=50))
    async def wait_for_ever(args: Greeting, ctx: Context) -> Outcome:
        await never.wait()
        return Done()

    async with running_worker(settings, [wait_for_ever]):
        await emit(effects, user_created(1))
        await eventually(lambda: _ended(effects, 1))

    (run,) = await runs(effects)
    assert "not done within" in run.error


async def test_a_command_that_the_ledger_cannot_store_does_not_hold_back_the_others(
    settings: Settings, effects: AsyncEngine
) -> None:
    async with running_worker(settings, [greet_user]):
        poison = _command("greet_user", datetime.now(UTC), user_id="@").replace(b'"@"', b"1e400000")
        await _send(settings, "queue.emails", poison, [])
        await _send(settings, "queue.emails", _command("greet_user", datetime.now(UTC), user_id=7), [])
        await eventually(lambda: _ended(effects, 1))
        (letter,) = await eventually(lambda: records_of(settings, "queue.emails.dlq"))

    assert letter.value == poison
    assert await states(effects) == {"done": 1}
