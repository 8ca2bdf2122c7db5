"""Several timers on one database, killed while they work: each instant has exactly one run."""

import ast
import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

import streams.schedules
from streams.db import engine_for
from streams.settings import Settings
from tests.scheduling import add, database_now, instants, new_timer, orders, schedule
from tests.waiting import eventually

SECOND = timedelta(seconds=1)
SCHEDULES = [f"s{number}" for number in range(8)]
INSTANTS = 15


class Mortal:
    """A timer that is killed at given steps of its database work, statements and commits, and started again."""

    def __init__(self, engine: AsyncEngine, deaths: list[int]) -> None:
        self.died = 0
        self._engine = engine
        self._deaths = deaths
        self._steps = 0
        event.listen(engine.sync_engine, "before_cursor_execute", self._step)
        event.listen(engine.sync_engine, "commit", self._step)

    def _step(self, *_: Any) -> None:
        self._steps += 1
        if self._deaths and self._steps == self._deaths[0]:
            living = asyncio.current_task()
            assert living is not None
            living.cancel("killed")  # takes effect in this very statement, or COMMIT

    async def live(self) -> None:
        while True:
            self._steps = 0
            life = asyncio.create_task(new_timer(self._engine).run())
            try:
                await asyncio.wait([life])
            finally:
                life.cancel()
                with suppress(asyncio.CancelledError):
                    await life
            self.died += 1
            self._deaths.pop(0)


@asynccontextmanager
async def mortals(settings: Settings, deaths: list[list[int]]) -> AsyncIterator[list[Mortal]]:
    engines = [engine_for(settings.database) for _ in deaths]
    made = [Mortal(engine, steps) for engine, steps in zip(engines, deaths, strict=True)]
    living = [asyncio.create_task(mortal.live()) for mortal in made]
    try:
        yield made
    finally:
        for each in living:
            each.cancel()
        await asyncio.gather(*living, return_exceptions=True)
        for engine in engines:
            await engine.dispose()


async def test_five_timers_ten_of_them_killed_while_claiming_make_exactly_120_runs(
    settings: Settings, engine: AsyncEngine
) -> None:
    begin = (await database_now(engine)).replace(microsecond=0) - 10 * SECOND
    last = begin + (INSTANTS - 1) * SECOND
    for name in SCHEDULES:
        await add(engine, name, due_since=begin, every=SECOND, misfire="run_all", overlap="allow")
    rng = random.Random(4)
    deaths = [[rng.randint(2, 45), rng.randint(2, 30)] for _ in range(5)]

    async with mortals(settings, deaths) as timers:
        await cut_all_connections(settings)
        await engine.dispose()  # the test's own are cut too
        await eventually(lambda: sum(timer.died for timer in timers) == 10, what="ten deaths")
        await eventually(lambda: all_beyond(engine, last), what="the last of the 120 instants")

    wanted = [begin + number * SECOND for number in range(INSTANTS)]
    found = {name: [i for i in await instants(engine, name, "queued") if i <= last] for name in SCHEDULES}
    assert found == dict.fromkeys(SCHEDULES, wanted)
    ordered = Counter((order.command["cause"]["source"], order.command["caused_at"]) for order in await orders(engine))
    within = {key: count for key, count in ordered.items() if datetime.fromisoformat(key[1]) <= last}
    assert len(within) == 120
    assert set(ordered.values()) == {1}


async def all_beyond(engine: AsyncEngine, instant: datetime) -> bool:
    """Whether every schedule waits for a later instant."""
    return all([await beyond(engine, name, instant) for name in SCHEDULES])


async def cut_all_connections(settings: Settings) -> None:
    connection = await asyncpg.connect(settings.database.url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()


async def test_a_timer_killed_between_any_two_steps_of_a_tick_leaves_all_of_it_or_nothing(
    settings: Settings, engine: AsyncEngine
) -> None:
    """Steps are each statement and the COMMIT; past the last one, the tick lives."""
    step = died = 0
    while died == step:
        step += 1
        name, due = f"s{step}", await database_now(engine) - timedelta(minutes=90)
        await add(engine, name, due_since=due)

        async with mortals(settings, [[step]]) as (timer,):
            await eventually(partial(dead_or_beyond, timer, engine, name, due))
            died += timer.died
        kept = len(await instants(engine, name, "queued")), len(await instants(engine, name, "skipped"))
        moved = await beyond(engine, name, due)
        await new_timer(engine).round()

        assert (kept, moved) in (((0, 0), False), ((1, 1), True)), f"killed at step {step}"
        assert await instants(engine, name, "skipped") == [due]
        assert await instants(engine, name, "queued") == [due + timedelta(hours=1)]

    assert step > 8
    assert len(await orders(engine)) == step


async def dead_or_beyond(timer: Mortal, engine: AsyncEngine, name: str, instant: datetime) -> bool:
    return timer.died > 0 or await beyond(engine, name, instant)


async def beyond(engine: AsyncEngine, name: str, instant: datetime) -> bool:
    """Whether the schedule waits for a later instant."""
    next_at = (await schedule(engine, name)).next_at
    return next_at is not None and next_at > instant


async def test_a_timer_takes_up_what_is_made_while_it_runs_and_is_on_time(
    settings: Settings, engine: AsyncEngine
) -> None:
    async with mortals(settings, [[]]):
        await eventually(lambda: database_now(engine))
        at = await database_now(engine) + timedelta(milliseconds=1300)
        await add(engine, "once", every=None, at=at)
        (order,) = await eventually(lambda: orders(engine), within=5)

    assert abs(order.due_at - at) < 0.8 * SECOND


def test_no_timer_asks_the_clock_of_its_machine() -> None:
    """Workers' clocks may be off: what is due is said by the database's."""
    folder = Path(streams.schedules.__path__[0])
    calls = [
        (path.name, ast.unparse(node.func))
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]

    asked = {name for _, name in calls if name.split(".")[-1] in ("now", "utcnow", "today", "time_ns", "Clock")}
    assert asked == set()
    assert "time.time" not in {name for _, name in calls}
