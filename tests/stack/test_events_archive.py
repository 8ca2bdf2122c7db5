"""Events leave Kafka for files and come back to be replayed, the same events with the same bytes."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.kafka_client import full_name, producer_for
from streams.settings import Settings
from streams.topics import create_topics
from tests.events import delete_records, records_of, runs, user_created
from tests.operations import say
from tests.replays import all_done, ended, keeping_profiles, make_profiles, plan, publish, right, start
from tests.waiting import eventually
from tests.workers import running_worker

EVENTS = 40
TASKS = [keeping_profiles(right)]


@pytest.fixture(autouse=True)
async def ground(settings: Settings, engine: AsyncEngine) -> None:
    await create_topics(settings)
    await make_profiles(engine)


def without_place(record: ConsumerRecord) -> tuple[object, ...]:
    return record.timestamp, record.key, record.value, record.headers


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
async def test_events_that_retention_has_taken_are_replayed_from_files_and_known_to_be_done(
    settings: Settings, environment: Mapping[str, str], engine: AsyncEngine, tmp_path: Path, form: str
) -> None:
    await publish(settings, [user_created(number) for number in range(EVENTS)])
    before = await records_of(settings, "user.created")
    async with running_worker(settings, TASKS):
        await eventually(lambda: all_done(engine, EVENTS))

        exported = await say(environment, "export", "user.created", "--out", str(tmp_path), "--format", form)
        await delete_records(settings, "user.created")
        imported = await say(environment, "import", "user.created", str(tmp_path))
        number = await start(settings, engine, TASKS, topic="user.created.imported")
        replay = await ended(engine, number)

    assert (exported.code, imported.code) == (0, 0), (exported, imported)
    assert f"{EVENTS} records of user.created in 4 files" in exported.out
    after = await records_of(settings, "user.created.imported")
    assert sorted(map(without_place, after), key=repr) == sorted(map(without_place, before), key=repr)
    assert replay["counts"]["tasks"] == {"keep_profile": {"done": EVENTS}}
    assert len(await runs(engine)) == EVENTS


async def test_an_event_without_an_id_is_the_same_event_when_it_comes_back(
    settings: Settings, environment: Mapping[str, str], engine: AsyncEngine, tmp_path: Path
) -> None:
    producer = producer_for(settings.kafka)
    await producer.start()
    body = b'{"user_id": 7, "email": "a@example.org", "username": "\xc3\xa4da", "created_at": "2026-11-20T10:00:00Z"}'
    await producer.send_and_wait(full_name(settings.kafka, "user.created"), body, headers=[("odd", b"\xff")])
    await producer.stop()
    async with running_worker(settings, TASKS):
        await eventually(lambda: all_done(engine, 1))

    await say(environment, "export", "user.created", "--from", "1h", "--out", str(tmp_path))
    await say(environment, "import", "user.created", str(tmp_path))
    cleared = await say(environment, "import", "user.created", str(tmp_path), "--clear")
    counted = await plan(settings, engine, TASKS, topic="user.created.imported")

    assert cleared.code == 0, cleared
    assert (counted.counts.read, counted.counts.tasks) == (1, {"keep_profile": {"done": 1}})


async def test_what_cannot_be_exported_or_imported_is_refused_with_what_can(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    (tmp_path / "user.created").mkdir()
    (tmp_path / "user.created" / "000-0-1.jsonl").write_text("no record\n")

    wrong = await say(environment, "export", "user.crated", "--out", str(tmp_path))
    broken = await say(environment, "import", "user.created", str(tmp_path))

    assert (wrong.code, broken.code) == (1, 1)
    assert "events cannot be read from 'user.crated'; there are user.created" in wrong.errors
    assert "user.created/000-0-1.jsonl: line 1 is no record as `tailrace export` writes it" in broken.errors
