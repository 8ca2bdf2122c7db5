"""Dead letters of the test's making, and how the tests look at them."""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.commands import Command
from schemas.envelope import Headers, Identity
from streams.clock import Clock
from streams.dead_letter import Letter
from streams.dead_letter_filter import Filter, Seen
from streams.dead_letter_topics import open_dead_letters
from streams.dead_letters import DeadLetters
from streams.kafka_client import RenewedProducer
from streams.records import Record
from streams.settings import Settings
from tests.processes import run

TIME = int(datetime.now(UTC).timestamp()) * 1000 - 3_600_000
"""The timestamp of the records that died, in ms: an hour ago. Much older ones come back with a younger one."""


def died(topic: str, value: bytes | None, headers: Headers | None = None, *, offset: int = 0) -> Record:
    """A record that could not be dealt with."""
    return Record(topic, 0, offset, b"k", value, headers or [], TIME)


def command(user_id: int, caused_at: datetime | None = None, *, attempt: int = 1) -> Command:
    """An order of its own to greet."""
    return Command(
        id=uuid.uuid4(),
        task="greet_user",
        args={"user_id": user_id},
        caused_at=caused_at or datetime.now(UTC),
        cause=Identity("/test", "user.created", str(user_id)),
        attempt=attempt,
    )


async def bury(settings: Settings, *records: Record, reason: str = "no good", error: Exception | None = None) -> None:
    """Each as a dead letter of its topic, as the worker does it."""
    async with RenewedProducer(settings.kafka) as producer:
        for record in records:
            await DeadLetters(settings.kafka, producer, Clock()).publish(record, reason, error=error)


DEAD_RUN = text("""
    INSERT INTO tailrace.task_runs (id, caused_at, task, queue, state, attempt, generation, args, cause, error)
    VALUES (:id, :caused_at, :task, 'emails', :state, :attempt, 0, CAST(:args AS jsonb), CAST(:cause AS jsonb), 'dead')
""")


async def remember(engine: AsyncEngine, order: Command, state: str = "dead", attempt: int | None = None) -> None:
    """The ledger's row of this command."""
    values = {
        "id": order.id,
        "caused_at": order.caused_at,
        "task": order.task,
        "state": state,
        "attempt": attempt or order.attempt,
        "args": msgspec.json.encode(order.args).decode(),
        "cause": msgspec.json.encode(order.cause).decode(),
    }
    async with engine.begin() as connection:
        await connection.execute(DEAD_RUN, values)


async def rows(engine: AsyncEngine, table: str) -> list[Any]:
    """Every row of one of our tables."""
    async with engine.connect() as connection:
        return list((await connection.execute(text(f"SELECT * FROM tailrace.{table}"))).all())


async def marks(engine: AsyncEngine) -> dict[int, str]:
    """Offset -> mark, of all letters that have one."""
    return {row.offset: row.mark for row in await rows(engine, "dead_letter_marks")}


async def dlq(environment: Mapping[str, str], *arguments: str) -> Any:
    """What ``tailrace dlq ARGUMENTS --json`` prints; fails the test where it fails."""
    code, out, errors = await run("dlq", *arguments, "--json", environment=environment)
    assert code == 0, errors
    return json.loads(out)


async def letters_in(settings: Settings, engine: AsyncEngine, topic: str) -> list[Letter]:
    """Those that have no mark."""
    async with open_dead_letters(settings.kafka, engine, [topic]) as opened:
        found = [batch async for batch in opened.matching(Filter((topic,)), Seen(set(), set()))]
    return [letter for batch in found for letter, mark in batch if mark is None]
