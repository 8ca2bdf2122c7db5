"""Old months of the ledger go, whole, and nothing that is still needed goes with them."""

import asyncio
import logging
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.commands import Command, command_id
from schemas.envelope import Identity
from streams.claims import Claim, Order
from streams.ledger import Ledger
from streams.ledger_months import drop_old_months

KEEP = timedelta(days=62)


def months_ago(count: int) -> date:
    """The first day of that month."""
    day = datetime.now(UTC).date().replace(day=1)
    for _ in range(count):
        day = (day - timedelta(days=1)).replace(day=1)
    return day


@pytest.fixture(autouse=True)
async def a_year(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("SELECT tailrace.ensure_months(:first, :last)"), _span())


def _span() -> dict[str, date]:
    return {"first": months_ago(12), "last": months_ago(0)}


async def kept(engine: AsyncEngine) -> list[date]:
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT from_day FROM tailrace.task_run_months ORDER BY 1"))
        return list(found.scalars())


async def add_run(engine: AsyncEngine, month: date, state: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text("""INSERT INTO tailrace.task_runs (id, caused_at, task, queue, state, attempt, generation, args)
                    VALUES (gen_random_uuid(), :caused_at, 'greet', 'default', :state, 1, 0, '{}')"""),
            {"caused_at": datetime(month.year, month.month, 28, 23, 59, tzinfo=UTC), "state": state},
        )


async def test_months_that_ended_before_what_is_kept_are_dropped_and_no_others(engine: AsyncEngine) -> None:
    for count in range(13):
        await add_run(engine, months_ago(count), "done")
    start_of_kept = (datetime.now(UTC) - KEEP).date()

    dropped = await drop_old_months(engine, KEEP)

    left = await kept(engine)
    assert dropped == sorted(dropped)
    assert months_ago(12) in dropped
    assert min(left) <= start_of_kept < max(left)
    assert all((day + timedelta(days=31)).replace(day=1) > start_of_kept for day in left)
    assert await drop_old_months(engine, KEEP) == []


@pytest.mark.parametrize("state", ["queued", "running", "parked"])
async def test_a_month_with_an_open_run_is_kept_and_the_log_says_so(
    engine: AsyncEngine, state: str, caplog: pytest.LogCaptureFixture
) -> None:
    await add_run(engine, months_ago(10), state)

    with caplog.at_level(logging.WARNING):
        dropped = await drop_old_months(engine, KEEP)

    assert months_ago(10) in await kept(engine)
    assert months_ago(11) in dropped
    assert f"{months_ago(10):%Y-%m}" in caplog.text


async def test_a_month_that_is_in_use_is_left_for_the_next_time_and_claims_go_on(engine: AsyncEngine) -> None:
    ledger = Ledger(engine, "w", timedelta(minutes=1))
    async with engine.connect() as reading:
        await reading.execute(text("SELECT count(*) FROM tailrace.task_runs"))

        dropping = asyncio.create_task(drop_old_months(engine, KEEP))
        answers = [(await asyncio.wait_for(ledger.claim([order(n)]), 5))[0] for n in range(50)]

        assert all(isinstance(answer, Claim) for answer in answers)
        assert await dropping == []
    assert months_ago(12) in await drop_old_months(engine, KEEP)


async def test_of_many_workers_one_drops_each_month(engine: AsyncEngine) -> None:
    dropped = await asyncio.gather(*(drop_old_months(engine, KEEP) for _ in range(4)))

    months = [month for found in dropped for month in found]
    assert len(months) == len(set(months)) > 0
    await drop_old_months(engine, KEEP)
    assert months_ago(12) not in await kept(engine)


async def test_the_ledger_knows_its_months_anew_once_room_was_made(engine: AsyncEngine) -> None:
    ledger = Ledger(engine, "w", timedelta(minutes=1))
    before = await ledger.months()

    await drop_old_months(engine, KEEP)
    await ledger.make_room()

    assert before.first.date() == months_ago(12)
    assert (await ledger.months()).first.date() == min(await kept(engine))


def order(number: int) -> Order:
    now = datetime.now(UTC)
    cause = Identity("/test", "test", str(number))
    return Order(
        Command(id=command_id(cause, "greet"), task="greet", args={}, caused_at=now, cause=cause), "default", now
    )
