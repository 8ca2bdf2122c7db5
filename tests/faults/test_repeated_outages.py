"""Broker, database and the way to it fail under load: the workers recover alone and say meanwhile that they wait."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import asyncpg
import pytest

from streams.devstack.stack import GRACE, Stack
from streams.settings import Settings
from tests.processes import Running
from tests.storm import Storm
from tests.storm_fleet import Fleet, is_red
from tests.storm_pace import meanwhile, throughout
from tests.storm_worker import MARK
from tests.tcp_link import TcpLink, link_to
from tests.waiting import eventually

pytestmark = pytest.mark.faults

RECOVERS_WITHIN = 60

# End connections of the workers, pool and relay alike.
TERMINATE = """
    SELECT count(pg_terminate_backend(pid)) FROM (
        SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'tailrace%' AND pid <> pg_backend_pid()
         ORDER BY random() LIMIT $1) AS victims
"""


async def give(storm: Storm, count: int) -> None:
    """Events of the backend: they wait for the broker in the outbox."""
    await storm.emit([storm.slow() for _ in range(count)])


async def recovered(storm: Storm, fleet: Fleet) -> None:
    """The workers are ready again by themselves, and all that has been given is done."""
    await fleet.all_ready(RECOVERS_WITHIN)
    await storm.goes_on_with(10, RECOVERS_WITHIN)


async def test_the_broker_goes_down_again_and_again(storm: Storm, fleet: Fleet, servers: Stack, full: bool) -> None:
    times, seconds = (5, 30) if full else (1, 3)

    async with meanwhile(partial(give, storm), per_second=10):
        for number in range(times):
            await storm.goes_on_with(10, RECOVERS_WITHIN)
            await (servers.kafka.stop(GRACE) if number % 2 else servers.kafka.kill())
            await eventually(fleet.all_red, RECOVERS_WITHIN, "the workers say so")
            await throughout(seconds, fleet.all_red, "red while the broker is away")
            await servers.kafka.start()
            await recovered(storm, fleet)
    await storm.assert_each_done_once(fleet)


async def test_the_database_is_restarted_again_and_again(
    storm: Storm, fleet: Fleet, servers: Stack, full: bool
) -> None:
    async with meanwhile(partial(give, storm), per_second=20):
        for number in range(5 if full else 1):
            await storm.goes_on_with(10, RECOVERS_WITHIN)
            await (servers.postgres.stop(GRACE) if number % 2 else servers.postgres.kill())
            await eventually(fleet.all_red, RECOVERS_WITHIN, "the workers say so")
            await servers.postgres.start()
            await recovered(storm, fleet)
    await storm.assert_each_done_once(fleet)


async def test_backends_of_the_database_are_terminated(
    storm: Storm, fleet: Fleet, settings: Settings, full: bool
) -> None:
    wanted, terminated = 100 if full else 15, 0
    connection = await asyncpg.connect(settings.database.url)

    async with meanwhile(partial(give, storm), per_second=20):
        while terminated < wanted:
            await storm.goes_on_with(10, RECOVERS_WITHIN)
            await eventually(lambda: storm.has_run_for(0), what="a run is in progress")
            terminated += await connection.fetchval(TERMINATE, 5)
        await recovered(storm, fleet)
    await connection.close()
    await storm.assert_each_done_once(fleet)


async def test_the_link_to_the_database_is_cut_in_the_moment_of_a_commit(
    storm: Storm, fleet: Fleet, settings: Settings, full: bool
) -> None:
    cuts = 50 if full else 4

    async with one_by_link(fleet, settings) as (by_link, link):
        async with meanwhile(partial(give, storm), per_second=20):
            for number in range(cuts):
                link.lose_next("order" if number % 2 else "answer")
                await eventually(lambda: not link.expects_loss, what="a COMMIT is cut off")
            await storm.goes_on(RECOVERS_WITHIN)
            await link.cut()
            await eventually(partial(is_red, by_link), RECOVERS_WITHIN, "the worker says so")
            await link.mend()
            await recovered(storm, fleet)
        await storm.assert_each_done_once(fleet)
        await fleet.leave(by_link)

    assert link.lost == {"answer": cuts // 2, "order": cuts // 2}


async def test_a_worker_that_vanishes_in_the_middle_of_a_transaction_holds_nobody_up(
    storm: Storm, fleet: Fleet, settings: Settings
) -> None:
    takeovers = await storm.takeovers()

    async with one_by_link(fleet, settings) as (by_link, link):
        async with meanwhile(partial(give, storm), per_second=10):
            link.lose_next("silence")
            await eventually(lambda: not link.expects_loss, what="a COMMIT is held back")
            await fleet.kill(by_link)
            await storm.goes_on(RECOVERS_WITHIN)
        await storm.assert_each_done_once(fleet)

    assert await storm.takeovers() > takeovers


@asynccontextmanager
async def one_by_link(fleet: Fleet, settings: Settings) -> AsyncIterator[tuple[Running, TcpLink]]:
    """One of the two workers reaches the database by a link that can fail."""
    async with link_to(settings.database.url, MARK.encode()) as link:
        await fleet.leave(fleet.members[0])
        yield await fleet.start(TAILRACE_DATABASE__URL=link.url), link
