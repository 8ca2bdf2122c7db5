"""Which queues are paused, as every worker sees it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.topics import QUEUES
from streams.enqueueing import Wish, enqueue
from streams.metrics import Metrics
from streams.queue_states import DeadStreaks, QueueStates, UnknownQueue, pause, resume
from streams.settings import Settings
from streams.topics import create_topics
from tests.events import runs
from tests.greeting import count_effects, ended, greet_user, make_effects_table
from tests.processes import run
from tests.waiting import eventually
from tests.workers import running_worker


async def paused(engine: AsyncEngine, queue: str, reason: str | None = None, *, automatic: bool = False) -> bool:
    async with engine.begin() as connection:
        return await pause(connection, queue, reason, automatic=automatic)


async def resumed(engine: AsyncEngine, queue: str) -> bool:
    async with engine.begin() as connection:
        return await resume(connection, queue)


async def states_of(engine: AsyncEngine) -> QueueStates:
    """What a worker that starts now knows."""
    states = QueueStates(engine, Metrics())
    await states.refresh()
    return states


def gauge(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("tailrace_queue_paused", {"queue": "media"})


@asynccontextmanager
async def database_away(url: str) -> AsyncIterator[None]:
    """The database refuses every connection and breaks those that there are."""
    server, name = url.rsplit("/", 1)
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        yield
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    finally:
        await connection.close()


async def test_every_queue_runs_until_somebody_pauses_it(engine: AsyncEngine) -> None:
    states = await states_of(engine)

    assert states.paused == frozenset()
    assert states.problem() is None


async def test_a_pause_is_seen_at_the_next_refresh_and_so_is_its_end(engine: AsyncEngine) -> None:
    metrics = Metrics()
    states = QueueStates(engine, metrics)
    await paused(engine, "media", "disk is full")

    await states.refresh()
    assert states.paused == {"media"}
    assert gauge(metrics) == 1
    assert await resumed(engine, "media")
    await states.refresh()

    assert states.paused == frozenset()
    assert gauge(metrics) == 0
    assert not await resumed(engine, "media")


async def test_only_a_pause_by_a_worker_is_a_problem(engine: AsyncEngine) -> None:
    await paused(engine, "media", "disk is full")
    await paused(engine, "emails", "100 runs in a row were dead", automatic=True)

    problem = (await states_of(engine)).problem()

    assert problem is not None
    assert "emails is paused since" in problem
    assert "100 runs in a row were dead" in problem
    assert "tailrace queue resume emails" in problem
    assert "media" not in problem


async def test_a_worker_does_not_make_an_operators_pause_its_own(engine: AsyncEngine) -> None:
    await paused(engine, "emails", "mail server moves")

    assert not await paused(engine, "emails", "100 runs in a row were dead", automatic=True)

    states = await states_of(engine)
    assert states.paused == {"emails"}
    assert states.problem() is None


async def test_an_operator_takes_over_a_pause_by_a_worker(engine: AsyncEngine) -> None:
    await paused(engine, "emails", "100 runs in a row were dead", automatic=True)

    await paused(engine, "emails", "known, the mail server moves")

    states = await states_of(engine)
    assert states.paused == {"emails"}
    assert states.problem() is None


async def test_what_was_known_last_holds_while_the_database_is_away(engine: AsyncEngine, database_url: str) -> None:
    await paused(engine, "emails")
    states = await states_of(engine)

    async with database_away(database_url):
        await states.refresh()
        assert states.paused == {"emails"}
    await resumed(engine, "emails")
    await states.refresh()

    assert states.paused == frozenset()


async def test_a_worker_that_knows_nothing_yet_does_not_take_silence_for_an_answer(
    engine: AsyncEngine, database_url: str
) -> None:
    states = QueueStates(engine, Metrics())

    async with database_away(database_url):
        with pytest.raises(Exception, match="not currently accepting connections"):
            await states.refresh()


async def test_dead_runs_in_a_row_pause_their_queue_for_all_workers(engine: AsyncEngine) -> None:
    states = await states_of(engine)
    streaks = DeadStreaks(engine, states, 2)

    await streaks.pause_if_needed("emails", "dead")
    assert states.paused == frozenset()
    await streaks.pause_if_needed("emails", "dead")

    assert states.paused == {"emails"}
    problem = (await states_of(engine)).problem()
    assert problem is not None
    assert "2 runs in a row were dead; see `tailrace runs list --state dead --queue emails`" in problem


async def test_a_queue_that_does_not_exist_is_not_paused(engine: AsyncEngine) -> None:
    with pytest.raises(UnknownQueue):
        await paused(engine, "email")


async def test_a_paused_queue_starts_nothing_until_it_is_resumed(engine: AsyncEngine, settings: Settings) -> None:
    await make_effects_table(engine)
    await paused(engine, "emails")

    async with running_worker(settings, (greet_user,)):
        waiting = await enqueue(engine, Wish(greet_user, {"user_id": 70}, "emails"))
        others = [await enqueue(engine, Wish(greet_user, {"user_id": 71}, queue)) for queue in ("users", "default")]
        await eventually(lambda: ended(engine, len(others)), what="the other queues run")
        assert {row.state for row in await runs(engine) if row.id == waiting.run.id} == {"queued"}

        await resumed(engine, "emails")
        await eventually(lambda: ended(engine, 3), within=5, what="the queue runs again")

    assert await count_effects(engine) == 3


async def test_queues_are_paused_listed_and_resumed_by_command(settings: Settings, environment: dict[str, str]) -> None:
    await create_topics(settings)

    code, out, errors = await run("queue", "pause", "emails", "--reason", "mail server moves", environment=environment)
    assert (code, errors) == (0, ""), errors
    assert "queue resume emails" in out

    code, out, errors = await run("queue", "list", "--json", environment=environment)
    assert (code, errors) == (0, ""), errors
    listed = {queue["name"]: queue for queue in json.loads(out)["queues"]}
    assert [(name, queue["priority"]) for name, queue in listed.items()] == [(q.name, q.priority) for q in QUEUES]
    assert listed["emails"] | {"since": None} == {
        "name": "emails",
        "priority": 8,
        "paused": True,
        "automatic": False,
        "reason": "mail server moves",
        "since": None,
        "runs": {"queued": 0, "running": 0, "parked": 0},
        "waiting": 0,
    }
    assert not listed["media"]["paused"]

    code, out, _ = await run("queue", "resume", "emails", environment=environment)
    assert (code, out) == (0, "emails runs again\n")


async def test_a_wrong_queue_on_the_command_line_is_told_the_right_ones(environment: dict[str, str]) -> None:
    code, _, errors = await run("queue", "pause", "email", environment=environment)

    assert code == 1
    assert errors.startswith("tailrace queue pause: there is no queue 'email' (did you mean emails?)")


async def test_the_list_says_that_the_broker_is_away_and_shows_the_rest(environment: dict[str, str]) -> None:
    broken = {**environment, "TAILRACE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"}

    code, out, errors = await run("queue", "list", environment=broken)

    assert code == 0
    assert "maintenance" in out
    assert errors.startswith("what waits is not known: Kafka at 127.0.0.1:9 does not answer")
