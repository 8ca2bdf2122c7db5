"""Workers are killed, stopped and frozen while they work: nothing is lost and nothing is done twice."""

import asyncio
import os
import random
import signal
from functools import partial

import pytest

from tests.storm import Storm
from tests.storm_fleet import Fleet
from tests.storm_pace import meanwhile
from tests.waiting import eventually

pytestmark = pytest.mark.faults


async def give_slow_ones(storm: Storm, count: int) -> None:
    """Half of them as events of the backend, half as commands on the queue."""
    await storm.emit([storm.slow() for _ in range(count // 2)])
    await storm.send([storm.slow() for _ in range(count - count // 2)])


async def give_quick_ones(storm: Storm, count: int) -> None:
    """One in ten as an event of the backend."""
    await storm.emit([0.02] * (count // 10))
    await storm.send([0.02] * (count - count // 10))


async def test_signals_at_random_lose_nothing_and_do_nothing_twice(
    storm: Storm, fleet: Fleet, rng: random.Random, full: bool
) -> None:
    commands, kills, terms = (6000, 30, 10) if full else (240, 2, 1)
    signals = [signal.SIGKILL] * kills + [signal.SIGTERM] * terms
    rng.shuffle(signals)
    takeovers = await storm.takeovers()

    async with meanwhile(partial(give_slow_ones, storm), per_second=30, in_all=commands) as giving:
        for how in signals:
            await asyncio.wait([giving], timeout=rng.uniform(2, 5 if full else 3))
            await fleet.replace(how, rng)
    await storm.assert_each_done_once(fleet, within=120)

    assert await storm.takeovers() > takeovers, "no run was hit: this storm proves nothing"


async def test_a_worker_frozen_past_its_session_and_its_leases_does_nothing_twice(
    storm: Storm, fleet: Fleet, rng: random.Random, full: bool
) -> None:
    takeovers = await storm.takeovers()

    for _ in range(5 if full else 1):
        frozen, tries = rng.choice(fleet.members), await storm.tries()
        await storm.send([2.0] * 64, "note_and_leave_effect")
        await eventually(partial(storm.runs_of, frozen, at_least=8), what="it is at work")
        os.killpg(frozen.child.pid, signal.SIGSTOP)
        await storm.goes_on(within=60)
        os.killpg(frozen.child.pid, signal.SIGCONT)
        await eventually(partial(storm.has_tried, tries + 64 + 8), what="it wakes and comes to the end of its runs")
        await fleet.all_ready()
    await storm.send([0.02] * 100)
    await storm.assert_each_done_once(fleet)

    assert await storm.takeovers() >= takeovers + 8


async def test_behind_a_slow_first_command_a_kill_loses_nothing(storm: Storm, fleet: Fleet, full: bool) -> None:
    takeovers = await storm.takeovers()
    slow_for = (0, 15) if full else (0,)

    for seconds in slow_for:
        await fleet.grow_to(2)
        await storm.send([600], "outlive_one_worker", partition=1)
        await eventually(lambda: storm.has_run_for(0), what="the slow one is at work")
        await storm.send([0.01] * 500, partition=1)
        await storm.goes_on(within=60, but_for=1)
        await eventually(partial(storm.has_run_for, seconds), what="it has been slow for long")
        (victim,) = [member for member in fleet.members if await storm.runs_of(member, at_least=1)]
        await fleet.kill(victim)
        await storm.assert_each_done_once(fleet)

    assert await storm.takeovers() == takeovers + len(slow_for)


async def test_workers_join_and_leave_under_load_and_nothing_is_lost_or_done_twice(
    storm: Storm, fleet: Fleet, full: bool
) -> None:
    rounds, per_second = (20, 200) if full else (1, 100)
    workers = await storm.workers()

    async with meanwhile(partial(give_quick_ones, storm), per_second):
        for _ in range(rounds):
            await fleet.start()
            await storm.goes_on(within=60)
            await fleet.leave(fleet.members[0])
            await storm.goes_on(within=60)
    await storm.assert_each_done_once(fleet)

    assert await storm.workers() >= workers + rounds
