"""The ledger's promises on real PostgreSQL: the three answers of a claim, and conditional transitions."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.commands import Command, command_id
from schemas.envelope import Identity
from streams.claims import Claim, Ending, Finished, LiveUntil, LostClaim, Order
from streams.ledger import Ledger
from tests.events import runs

LONG = timedelta(minutes=1)
OVER = timedelta(seconds=-1)
DONE = Ending("done", outcome={})


def order(number: int = 1, *, attempt: int = 1) -> Order:
    cause = Identity("/test", "user.created", str(number))
    when = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    command = Command(
        id=command_id(cause, "greet"), task="greet", args={"n": number}, caused_at=when, cause=cause, attempt=attempt
    )
    return Order(command, "default", when)


@pytest.fixture
def ledger(engine: AsyncEngine) -> Callable[[str, timedelta], Ledger]:
    return lambda worker, lease: Ledger(engine, worker, lease)


async def record(ledger: Ledger, claim: Claim, ending: Ending = DONE) -> None:
    async with ledger.engine.begin() as connection:
        await ledger.record(connection, claim, ending)


async def claimed(ledger: Ledger, wanted: Order) -> Claim:
    (answer,) = await ledger.claim([wanted])
    assert isinstance(answer, Claim), answer
    return answer


Make = Callable[[str, timedelta], Ledger]


async def test_a_new_command_is_claimed_and_its_repeat_is_live_and_then_finished(ledger: Make) -> None:
    first, second = ledger("a", LONG), ledger("b", LONG)

    claim = await claimed(first, order())
    (while_running,) = await second.claim([order()])
    await record(first, claim)
    (after,) = await second.claim([order()])

    assert isinstance(while_running, LiveUntil)
    assert while_running.until > datetime.now(UTC)
    assert after == Finished()


async def test_a_run_whose_lease_has_run_out_is_taken_over_and_counted(ledger: Make) -> None:
    lost, other = ledger("lost", OVER), ledger("other", LONG)
    await claimed(lost, order())

    taken = await claimed(other, order())

    assert (taken.worker, taken.takeovers) == ("other", 1)


async def test_a_zombie_that_records_after_the_takeover_does_nothing(ledger: Make) -> None:
    zombie, other = ledger("zombie", OVER), ledger("other", LONG)
    claim = await claimed(zombie, order())
    await claimed(other, order())

    with pytest.raises(LostClaim):
        await record(zombie, claim)

    (run,) = await runs(zombie.engine)
    assert (run.state, run.worker) == ("running", "other")


async def test_a_commit_whose_answer_was_lost_is_known_when_the_run_is_read_again(ledger: Make) -> None:
    worker = ledger("a", LONG)
    claim = await claimed(worker, order())
    await record(worker, claim)  # its answer never came

    with pytest.raises(LostClaim):
        await record(worker, claim)

    assert await worker.state(claim) == "done"


async def test_a_batch_that_holds_one_id_twice_claims_it_once(ledger: Make) -> None:
    answers = await ledger("a", LONG).claim([order(1), order(2), order(1), order(1, attempt=2)])

    kinds = [type(answer) for answer in answers]
    assert kinds == [Finished, Claim, Finished, Claim]


async def test_only_the_attempt_that_the_row_expects_is_claimed(ledger: Make) -> None:
    worker = ledger("a", LONG)
    claim = await claimed(worker, order())
    await record(worker, claim, Ending("parked", error="later", next_attempt=2, scheduled_for=datetime.now(UTC)))

    (old,) = await worker.claim([order(attempt=1)])
    new = await claimed(worker, order(attempt=2))

    assert old == Finished()
    assert new.attempt == 2


async def test_a_claim_that_is_given_back_can_be_claimed_at_once(ledger: Make) -> None:
    stopping, other = ledger("stopping", LONG), ledger("other", LONG)
    claim = await claimed(stopping, order())

    async with stopping.engine.begin() as connection:
        await stopping.release(connection, [claim])

    assert (await claimed(other, order())).takeovers == 0


async def test_a_lease_is_renewed_only_while_the_run_is_ours(ledger: Make) -> None:
    expired, other = ledger("expired", OVER), ledger("other", LONG)
    lost = await claimed(expired, order(1))
    await claimed(other, order(1))
    kept = await claimed(other, order(2))

    await ledger("expired", LONG).renew([lost])
    await ledger("other", timedelta(hours=1)).renew([kept])

    by_worker = {run.args["n"]: run for run in await runs(expired.engine)}
    assert by_worker[1].lease_until < datetime.now(UTC) + timedelta(minutes=2)
    assert by_worker[2].lease_until > datetime.now(UTC) + timedelta(minutes=50)


async def test_of_many_workers_that_claim_the_same_at_once_one_gets_each(ledger: Make) -> None:
    orders = [order(number) for number in range(20)]
    workers = [ledger(f"w{number}", LONG) for number in range(5)]

    answers = await asyncio.gather(
        *(worker.claim(orders[::step]) for worker, step in zip(workers, [1, -1, 1, -1, 1], strict=True))
    )

    claims = [answer for found in answers for answer in found if isinstance(answer, Claim)]
    assert len(claims) == len({claim.id for claim in claims}) == 20


async def test_the_ledger_has_room_for_this_month_and_the_next(ledger: Make, engine: AsyncEngine) -> None:
    months = await ledger("a", LONG).make_room()

    assert months.first < datetime.now(UTC) - timedelta(days=31)
    assert months.last > datetime.now(UTC) + timedelta(days=31)
    async with engine.connect() as connection:
        partitions = await connection.execute(text("SELECT count(*) FROM tailrace.task_run_months"))
        assert partitions.scalar_one() >= 3


async def test_a_worker_that_took_a_run_over_from_itself_records_it_once(ledger: Make) -> None:
    """Its lease lapsed while the database was away, and a rebalance delivered the command to it again."""
    same = ledger("same", OVER)
    first = await claimed(same, order())
    second = await claimed(same, order())

    with pytest.raises(LostClaim):
        await record(same, first, Ending("parked", error="first", next_attempt=2, scheduled_for=datetime.now(UTC)))
    await record(same, second)

    (run,) = await runs(same.engine)
    assert (run.state, run.takeovers) == ("done", 1)
