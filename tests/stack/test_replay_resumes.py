"""A replay goes on where it was, whatever is killed, and stops when it is told to."""

from collections.abc import Mapping

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.commands import Command
from streams.replay import store
from streams.replay.request import WrongReplay
from streams.settings import Settings
from streams.topics import create_topics
from tests.events import runs, user_created
from tests.letters import remember, rows
from tests.replays import (
    caused,
    ended,
    keeping_profiles,
    passed,
    plan,
    publish,
    read_through,
    reader_process,
    reading,
    right,
    shown,
    start,
)
from tests.waiting import eventually

EVENTS, REPEATED = 600, 10
TASKS = [keeping_profiles(right)]


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """Readers whose leases are short. No worker runs: what they submit stays open, and on the outbox."""
    own = {"WORKER__LEASE": "1s", "REPLAY__WINDOW": "1000", "REPLAY__MAX_LIVE_LAG": "1h"}
    return environment | {f"TAILRACE_{name}": value for name, value in own.items()}


@pytest.fixture(autouse=True)
async def topics(settings: Settings) -> None:
    await create_topics(settings)


async def test_a_replay_that_is_killed_three_times_submits_each_command_once_and_ends_with_the_planned_counts(
    settings: Settings, environment: Mapping[str, str], engine: AsyncEngine
) -> None:
    facts = [user_created(number) for number in range(EVENTS)]
    await publish(settings, [*facts, *facts[::REPEATED]])
    counted = await plan(settings, engine, TASKS)
    number = await start(settings, engine, TASKS, rate=200)

    for killed in range(1, 4):

        async def is_so_far(least: int = killed * EVENTS // 8) -> bool:
            return passed(await shown(engine, number)) >= least

        async with reader_process(environment):
            await eventually(is_so_far)
        assert (await shown(engine, number))["state"] == "running"
    async with reader_process(environment):
        replay = await read_through(engine, number)

    assert counted.counts.tasks == {"keep_profile": {"missing": EVENTS, "repeated": EVENTS // REPEATED}}
    assert msgspec.convert(replay["counts"], type(counted.counts)) == counted.counts
    assert replay["runs"] == {"queued": EVENTS}
    async with engine.connect() as connection:
        payloads = (await connection.execute(text("SELECT payload FROM tailrace.outbox"))).scalars().all()
    ordered = [msgspec.json.decode(payload, type=Command).id for payload in payloads]
    assert len(ordered) == len(set(ordered)) == EVENTS
    assert set(ordered) == {run.id for run in await runs(engine)}


async def test_a_paused_replay_reads_no_further_and_goes_on_when_it_is_resumed(
    settings: Settings, environment: Mapping[str, str], engine: AsyncEngine
) -> None:
    await publish(settings, [user_created(number) for number in range(60)])
    number = await start(settings, engine, TASKS, rate=15)

    async def is_left() -> bool:
        return (await shown(engine, number))["owner"] is None

    async def has_begun() -> bool:
        return passed(await shown(engine, number)) > 0

    async with reader_process(environment):
        await eventually(has_begun)
        await store.change(engine, number, "pause", "ada")
        await eventually(is_left)
        paused = await shown(engine, number)
        await store.change(engine, number, "resume", "grace")
        replay = await read_through(engine, number)

    assert 0 < passed(paused) < 60
    assert passed(replay) == len(await runs(engine)) == 60
    assert [(entry["what"], entry["who"]) for entry in replay["audit"]] == [
        ("started", "a test"),
        ("paused", "ada"),
        ("running", "grace"),
    ]


async def test_a_redo_whose_reader_stops_half_way_orders_each_run_once_more_and_no_more(
    settings: Settings, engine: AsyncEngine
) -> None:
    facts = [user_created(number) for number in range(40)]
    await publish(settings, [*facts, *facts])
    for fact in facts[:20]:
        await remember(engine, caused(fact, "keep_profile"), state="done")
    number = await start(settings, engine, TASKS, mode="redo", rate=40)

    async def is_half_way() -> bool:
        return passed(await shown(engine, number)) >= 20

    async with reading(settings, engine, TASKS):
        await eventually(is_half_way)
    half = await shown(engine, number)
    async with reading(settings, engine, TASKS):
        replay = await read_through(engine, number)

    assert (half["state"], passed(half) < 40) == ("running", True)
    assert replay["counts"]["tasks"] == {"keep_profile": {"again": 20, "missing": 20, "repeated": 40}}
    ordered = sorted((run.args["user_id"], run.generation) for run in await runs(engine) if run.replay == number)
    assert ordered == [(user, number if user < 20 else 0) for user in range(40)]


async def test_a_cancelled_replay_takes_its_waiting_runs_back(settings: Settings, engine: AsyncEngine) -> None:
    facts = [user_created(number) for number in range(8)]
    await publish(settings, facts)
    for fact in facts[:4]:
        await remember(engine, caused(fact, "keep_profile"), state="dead")
    narrow = settings.model_copy(update={"replay": settings.replay.model_copy(update={"window": 6})})
    number = await start(settings, engine, TASKS, dead=True)

    async def has_filled_its_window() -> bool:
        return passed(await shown(engine, number)) == 6

    async with reading(narrow, engine, TASKS):
        await eventually(has_filled_its_window)
        submitted = {row.dedupe_key.partition(":")[0]: row.headers[-1] for row in await rows(engine, "outbox")}
        cancelled = await store.change(engine, number, "cancel", "ada")
    with pytest.raises(WrongReplay, match=f"replay {number} is cancelled; to resume it, it must be paused or"):
        await store.change(engine, number, "resume", "ada")

    replay = await ended(engine, number)
    assert submitted == {name: ["tailrace-replay", str(number)] for name in ("submit", "requeue")}
    assert (cancelled, replay["state"], replay["runs"]) == (6, "cancelled", {"cancelled": 6})
    assert await rows(engine, "outbox") == []
