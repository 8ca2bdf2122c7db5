"""Events leave Kafka for files and come back to be replayed, the same events with the same bytes."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from aiokafka import ConsumerRecord
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.events_archive.exporting import export
from streams.events_archive.importing import import_events
from streams.events_archive.records import Archived, to_lines
from streams.kafka_client import full_name, producer_for
from streams.media.local_folder import LocalFolder
from streams.settings import Settings
from streams.topics import create_topics
from tests.commands_here import typed
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


async def test_events_that_retention_has_taken_are_replayed_from_files_and_known_to_be_done(
    settings: Settings, engine: AsyncEngine, tmp_path: Path
) -> None:
    await publish(settings, [user_created(number) for number in range(EVENTS)])
    before, place = await records_of(settings, "user.created"), LocalFolder(tmp_path)
    async with running_worker(settings, TASKS):
        await eventually(lambda: all_done(engine, EVENTS))

        exported = await export(settings, place, "user.created", None, None, "parquet", datetime.now(UTC))
        await delete_records(settings, "user.created")
        imported = await import_events(settings, place, "user.created")
        number = await start(settings, engine, TASKS, topic="user.created.imported")
        replay = await ended(engine, number)

    assert (exported.records, len(exported.files), exported.gaps) == (EVENTS, 4, [])
    assert (imported.records, imported.files) == (EVENTS, 4)
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

    exported = await say(environment, "export", "user.created", "--from", "1h", "--out", str(tmp_path))
    await import_events(settings, LocalFolder(tmp_path), "user.created")
    cleared = await say(environment, "import", "user.created", str(tmp_path), "--clear")
    counted = await plan(settings, engine, TASKS, topic="user.created.imported")

    assert "1 records of user.created in 1 files" in exported.out, exported
    assert cleared.code == 0, cleared
    assert (counted.counts.read, counted.counts.tasks) == (1, {"keep_profile": {"done": 1}})


async def test_what_is_older_than_the_ledger_is_left_alone_and_the_plan_says_why_and_what_can_be_done(
    settings: Settings, environment: Mapping[str, str], tmp_path: Path
) -> None:
    times = [datetime.now(UTC), datetime(2024, 2, 3, tzinfo=UTC), datetime(2024, 5, 6, tzinfo=UTC)]
    users = [user_created(number, created_at=at) for number, at in enumerate(times)]
    records = [
        Archived("user.created", 0, number, int(at.timestamp() * 1000), b"1", [], msgspec.json.encode(user))
        for number, (at, user) in enumerate(zip(times, users, strict=True))
    ]
    await LocalFolder(tmp_path).put({"user.created/2024.jsonl": to_lines(records)})
    await import_events(settings, LocalFolder(tmp_path), "user.created")

    planned = await typed(environment, "replay", "plan", "user.created.imported", "--send-mail")

    first = (datetime.now(UTC) - timedelta(days=92)).replace(day=1)
    assert "  1 not done yet: would be done\n" in planned.out, planned
    assert "  2 skipped: older than the ledger, which cannot tell\n" in planned.out
    assert f"the ledger begins with {first:%Y-%m-%d}; the oldest event is of 2024-02-03\n" in planned.out
    assert "too old: the ledger cannot tell whether it was done" in planned.out
    assert "`tailrace enqueue TASK --args ...`" in planned.out
