"""Dead letters are sent again once, on real Kafka and PostgreSQL."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
import pytest
from aiokafka import ConsumerRecord
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.commands import Command
from streams.redrive import redrive_one
from streams.settings import Settings
from streams.topics import create_topics
from tests.events import emit, records_of, runs, user_created
from tests.greeting import greet_user, make_effects_table
from tests.letters import TIME, bury, command, died, dlq, letters_in, marks, remember, rows
from tests.waiting import eventually
from tests.workers import running_worker

Environment = Mapping[str, str]


@pytest.fixture(autouse=True)
async def topics(settings: Settings) -> None:
    await create_topics(settings)


async def test_a_dead_command_is_listed_sent_again_through_its_row_and_dies_as_a_new_letter(
    settings: Settings, environment: Environment, engine: AsyncEngine
) -> None:
    await make_effects_table(engine)
    async with running_worker(settings, [greet_user]):
        await emit(engine, user_created(4))
        await eventually(lambda: records_of(settings, "queue.emails.dlq"))
        listed = await dlq(environment, "list", "--queue", "emails", "--task", "greet_user", "--reason", "BOOM")
        rehearsed = await dlq(environment, "redrive", "--all", "--dry-run")
        before = await runs(engine)

        sent = await dlq(environment, "redrive", "--task", "greet_user", "--rate", "100")
        again = await eventually(lambda: two_records(settings))
        after = await runs(engine)
        left = await dlq(environment, "list")
        repeated = await dlq(environment, "redrive", "queue.emails.dlq:0:0")

    (letter,) = listed["letters"]
    assert (letter["place"], letter["task"], letter["attempts"]) == ("queue.emails.dlq:0:0", "greet_user", 3)
    assert (letter["error"], letter["reason"]) == ("RuntimeError", "gave up after 3 attempts: RuntimeError('boom')")
    assert rehearsed == {"dry_run": True, "redriven": 1, "superseded": 0, "marked": 0}
    assert [(row.state, row.attempt) for row in before] == [("dead", 3)]
    assert sent == {"dry_run": False, "redriven": 1, "superseded": 0, "marked": 0}
    assert [(str(row.id), row.state, row.attempt) for row in after] == [(letter["run"], "dead", 6)]
    assert [msgspec.json.decode(record.value, type=Command).attempt for record in again] == [3, 6]
    assert [found["place"] for found in left["letters"]] == ["queue.emails.dlq:0:1"]
    assert repeated == {"dry_run": False, "redriven": 0, "superseded": 0, "marked": 1}


async def two_records(settings: Settings) -> list[ConsumerRecord]:
    found = await records_of(settings, "queue.emails.dlq")
    return found if len(found) == 2 else []


async def test_an_undecodable_fact_comes_back_to_its_topic_byte_for_byte(
    settings: Settings, environment: Environment, engine: AsyncEngine
) -> None:
    headers = [("ce_id", b"x"), ("odd", b"\xfe\x00"), ("none", None)]
    await bury(settings, died("user.created", b"\xff{not json", headers, offset=7))

    async with running_worker(settings, []):
        sent = await dlq(environment, "redrive", "--topic", "user.created")
        (record,) = await eventually(lambda: records_of(settings, "user.created"))
        await eventually(lambda: letters_in(settings, engine, "user.created.dlq"))

    assert sent["redriven"] == 1
    assert (record.value, record.key, record.timestamp) == (b"\xff{not json", b"k", TIME)
    assert list(record.headers) == headers
    assert await marks(engine) == {0: "redriven"}


async def test_a_command_without_a_row_in_the_ledger_goes_back_as_it_came(
    settings: Settings, engine: AsyncEngine
) -> None:
    order = msgspec.json.encode(command(1, datetime(2001, 1, 1, tzinfo=UTC)))
    await bury(settings, died("queue.emails", order, [("tailrace-task", b"greet_user"), ("traceparent", b"t")]))
    (letter,) = await letters_in(settings, engine, "queue.emails.dlq")

    answer = await redrive_one(engine, letter)

    (row,) = await rows(engine, "outbox")
    assert answer.text == "as it came, to queue.emails"
    assert (row.topic, row.key, row.payload, row.headers) == ("queue.emails", b"k", order, [["traceparent", "t"]])


@pytest.mark.parametrize(("state", "attempt"), [("done", 1), ("queued", 2), ("dead", 2), ("cancelled", 1)])
async def test_a_letter_whose_run_has_gone_on_is_marked_and_not_sent(
    settings: Settings, engine: AsyncEngine, state: str, attempt: int
) -> None:
    order = command(1)
    await remember(engine, order, state, attempt)
    await bury(settings, died("queue.emails", msgspec.json.encode(order)))
    (letter,) = await letters_in(settings, engine, "queue.emails.dlq")

    answer = await redrive_one(engine, letter)

    assert (answer.what, answer.text) == ("superseded", f"its run is {state} at attempt {attempt}")
    assert await marks(engine) == {0: "superseded"}
    assert await rows(engine, "outbox") == []


@pytest.mark.parametrize("topic", ["queue.emails", "user.created"])
async def test_a_letter_that_is_redriven_by_many_at_once_is_sent_once(
    settings: Settings, engine: AsyncEngine, topic: str
) -> None:
    order = command(1)
    await remember(engine, order)
    await bury(settings, died(topic, msgspec.json.encode(order)))
    (letter,) = await letters_in(settings, engine, f"{topic}.dlq")

    answers = await asyncio.gather(*(redrive_one(engine, letter) for _ in range(8)))

    assert [answer.what for answer in answers].count("redriven") == 1
    assert len(await rows(engine, "outbox")) == 1


async def test_a_second_copy_of_a_letter_does_not_start_a_third_attempt(
    settings: Settings, engine: AsyncEngine
) -> None:
    order = command(1)
    await remember(engine, order)
    await bury(settings, *[died("queue.emails", msgspec.json.encode(order))] * 2)
    copies = await letters_in(settings, engine, "queue.emails.dlq")

    await redrive_one(engine, copies[0])
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE tailrace.task_runs SET state = 'dead'"))
    answer = await redrive_one(engine, copies[1])

    assert (answer.what, answer.text) == ("superseded", "its run is dead at attempt 2")
