"""Does the ledger stay fast? `python -m benchmarks.ledger [--rows 2000000] [--batches 40] [--out FILE]`.

Measures on an empty ledger, fills it with finished runs of eleven months, and measures the same again: claims of new
commands, their records, claims of repeats (of runs anywhere in the history, as in a replay), each 500 at once, then
sweeps that find 500 lost runs, and sweeps that find none. Milliseconds, medians and p95. The database is one of the
benchmark's own and commits durably.
"""

import random
import statistics
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.command import run_benchmark
from benchmarks.own_postgres import own_postgres
from schemas.commands import Command
from schemas.envelope import Identity
from streams.claims import Claim, Ending, Finished, Order
from streams.db import autocommit, engine_for
from streams.ledger import Ledger
from streams.metrics import Metrics
from streams.settings import Settings
from streams.sweeper import Sweeper

BATCH = 500
CHUNK = 250_000
LEASE, LAPSED = timedelta(minutes=5), timedelta(seconds=-1)
DONE = Ending("done", outcome={"sent": 1})

# Runs that ended, of eleven months, as they look after a mail each.
FILL = text("""
    INSERT INTO tailrace.task_runs (id, caused_at, task, queue, state, attempt, generation, args, enqueued_at,
                                    started_at, finished_at, duration_ms, worker, outcome, cause, key)
    SELECT md5(number::text)::uuid, moment, 'send_welcome_email', 'emails', 'done', 1, 0,
           jsonb_build_object('user_id', number), moment, moment, moment, 12, 'worker-1', '{"sent": 1}',
           jsonb_build_object('source', '/backend', 'type', 'user.created', 'id', 'user.created:' || number),
           convert_to(number::text, 'UTF8')
      FROM (SELECT number, CAST(:now AS timestamptz) - interval '330 days' * number / :rows AS moment
              FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS number) AS numbered
""")

# What was filled in, under these numbers.
FIND = text("""
    SELECT md5(number::text)::uuid AS id,
           CAST(:now AS timestamptz) - interval '330 days' * number / :rows AS caused_at
      FROM unnest(CAST(:numbers AS bigint[])) AS number
""")

MONTHS = text("SELECT tailrace.ensure_months(CAST(:now AS date) - 335, CAST(:now AS date) + 31)")
SIZE = text("""
    SELECT sum(pg_total_relation_size(inhrelid)) / 1e9 FROM pg_inherits
     WHERE inhparent = 'tailrace.task_runs'::regclass
""")

# The lost runs of a sweep are over, so that the next finds its own.
END_LOST = text("UPDATE tailrace.task_runs SET state = 'done', lease_until = NULL WHERE state = 'running'")
EMPTY_OUTBOX = text("DELETE FROM tailrace.outbox")

T = TypeVar("T")
Times = dict[str, list[float]]


@dataclass(frozen=True)
class History:
    """What the ledger was filled with; nothing where ``rows`` is 0."""

    rows: int
    now: datetime

    async def fill(self, engine: AsyncEngine) -> None:
        """In pieces, and then as autovacuum leaves it."""
        for first in range(1, self.rows + 1, CHUNK):
            async with engine.begin() as connection:
                last = min(first + CHUNK - 1, self.rows)
                await connection.execute(FILL, {"now": self.now, "rows": self.rows, "first": first, "last": last})
        async with autocommit(engine) as connection:
            await connection.execute(text("VACUUM (ANALYZE) tailrace.task_runs"))
            await connection.execute(text("CHECKPOINT"))

    async def repeats(self, engine: AsyncEngine, rng: random.Random) -> list[Order]:
        """Commands whose runs are done, from anywhere in it."""
        numbers = [rng.randint(1, self.rows) for _ in range(BATCH)]
        async with engine.connect() as connection:
            found = await connection.execute(FIND, {"now": self.now, "rows": self.rows, "numbers": numbers})
            return [_order(row.id, row.caused_at) for row in found]


def new_orders(rng: random.Random) -> list[Order]:
    """Commands of just now."""
    now = datetime.now(UTC)
    return [_order(uuid.UUID(int=rng.getrandbits(128)), now) for _ in range(BATCH)]


def _order(run_id: uuid.UUID, caused_at: datetime) -> Order:
    cause = Identity("/backend", "user.created", str(run_id))
    command = Command(id=run_id, task="send_welcome_email", args={"user_id": 1}, caused_at=caused_at, cause=cause)
    return Order(command, "emails", datetime.now(UTC), b"1")


async def measure(
    engine: AsyncEngine, settings: Settings, history: History, batches: int
) -> dict[str, dict[str, float]]:
    """Times of every kind, in turn, so that what else the machine does meets all of them."""
    times: Times = defaultdict(list)
    rng = random.Random(history.rows)
    ledger, lost = Ledger(engine, "bench", LEASE), Ledger(engine, "lost", LAPSED)
    sweeper = Sweeper(engine, settings, Metrics())
    for _ in range(batches):
        answers = await _timed(times, "claim_new", ledger.claim(new_orders(rng)))
        claims = [answer for answer in answers if isinstance(answer, Claim)]
        await _timed(times, "record", ledger.record_many([(claim, DONE) for claim in claims]))
        if history.rows:
            repeats = await history.repeats(engine, rng)
            said = await _timed(times, "claim_repeats", ledger.claim(repeats))
            assert set(said) == {Finished()}, said
        await _timed(times, "sweep_of_none", sweeper.sweep())
        await lost.claim(new_orders(rng))
        swept = await _timed(times, "sweep_of_500", sweeper.sweep())
        assert (len(claims), swept) == (BATCH, BATCH)
        await _tidy(engine)
    return {kind: _summary(found) for kind, found in times.items()}


async def _timed(times: Times, kind: str, work: Awaitable[T]) -> T:
    began = time.perf_counter()
    found = await work
    times[kind].append((time.perf_counter() - began) * 1000)
    return found


async def _tidy(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(END_LOST)
        await connection.execute(EMPTY_OUTBOX)


def _summary(found: list[float]) -> dict[str, float]:
    return {"p50_ms": round(statistics.median(found), 2), "p95_ms": round(statistics.quantiles(found, n=20)[-1], 2)}


async def compare(rows: int, batches: int) -> dict[str, object]:
    """The same on an empty ledger and on a full one."""
    async with own_postgres() as settings:
        engine = engine_for(settings.database)
        found = await _compare(engine, settings, History(rows, datetime.now(UTC)), batches)
        await engine.dispose()
    return found


async def _compare(engine: AsyncEngine, settings: Settings, history: History, batches: int) -> dict[str, object]:
    async with engine.begin() as connection:
        await connection.execute(MONTHS, {"now": history.now})
    nothing = History(0, history.now)
    await measure(engine, settings, nothing, 5)  # to warm up
    empty = await measure(engine, settings, nothing, batches)
    await history.fill(engine)
    await measure(engine, settings, history, 5)
    full = await measure(engine, settings, history, batches)
    async with engine.connect() as connection:
        size = float((await connection.execute(SIZE)).scalar_one())
    ratios = {kind: round(full[kind]["p50_ms"] / empty[kind]["p50_ms"], 2) for kind in empty}
    return {"rows": history.rows, "gigabytes": round(size, 2), "empty": empty, "full": full, "full_to_empty": ratios}


if __name__ == "__main__":
    run_benchmark(__doc__, compare, rows=2_000_000, batches=40)
