"""The database as a process sees it that can be lost between any two statements, and by a clock that only we move.

Nothing in the product knows of it: it is handed an engine whose connections tell which statement they are at.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast

import asyncpg
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams import ledger_sql, outbox, relay_sql, submission, sweeper_sql
from streams.clock import Clock
from streams.schedules import schedules_sql
from tests.crash_points import Point
from tests.crash_process import Process

# A row for each time that an effect has committed: without a unique constraint, so that a second one would show.
EFFECT = text("INSERT INTO effects (run) VALUES (:run)")

# Every clock_timestamp() and now() is ours, because its schema comes before pg_catalog in the search path. It stands
# still but for a microsecond each time that it is asked. Defaults of columns were bound before, so they are bound anew.
FAKE_CLOCK = """
    CREATE TABLE IF NOT EXISTS public.effects (run uuid NOT NULL);
    CREATE SCHEMA IF NOT EXISTS fake_clock;
    CREATE TABLE IF NOT EXISTS fake_clock.instant (at timestamptz NOT NULL);
    CREATE SEQUENCE IF NOT EXISTS fake_clock.asked;
    CREATE OR REPLACE FUNCTION fake_clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
        'SELECT at + nextval(''fake_clock.asked'') * interval ''1 microsecond'' FROM fake_clock.instant';
    CREATE OR REPLACE FUNCTION fake_clock.now() RETURNS timestamptz LANGUAGE sql STABLE AS
        'SELECT at + last_value * interval ''1 microsecond'' FROM fake_clock.instant, fake_clock.asked';
    ALTER TABLE tailrace.outbox ALTER due_at SET DEFAULT fake_clock.now(),
        ALTER occurred_at SET DEFAULT fake_clock.now();
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = fake_clock, pg_catalog, public',
        current_database()); END $$;
"""

RESET = """
    DELETE FROM effects; DELETE FROM tailrace.task_runs; DELETE FROM tailrace.outbox; DELETE FROM tailrace.schedules;
    DELETE FROM fake_clock.instant; ALTER SEQUENCE fake_clock.asked RESTART
"""

AFTER = {
    id(statement): point
    for statement, point in (
        (ledger_sql.LOCK_KEYS, Point.KEYS_LOCKED),
        (ledger_sql.PARK, Point.PARK_WRITTEN),
        (ledger_sql.RELEASE, Point.RELEASE_WRITTEN),
        (EFFECT, Point.EFFECT_WRITTEN),
        (ledger_sql.RECORD, Point.RECORD_WRITTEN),
        (ledger_sql.RECORD_MANY, Point.BATCH_COMMITTED),
        (schedules_sql.CLAIM, Point.TICK_CLAIMED),
        (schedules_sql.RECORD_SKIPPED, Point.TICK_SKIPPED_WRITTEN),
        (sweeper_sql.TRY_LOCK, Point.SWEEP_LOCKED),
        (sweeper_sql.MARK_LOST, Point.SWEEP_MARKED),
    )
}
BEFORE = {id(EFFECT): Point.PERFORMED, id(ledger_sql.RECORD_MANY): Point.BATCH_GATHERED}

COMMITS: tuple[tuple[TextClause, Point | None, Point], ...] = (
    (ledger_sql.RECORD, Point.RECORD_BEFORE_COMMIT, Point.RECORD_COMMITTED),
    (ledger_sql.CLAIM, Point.KEYED_CLAIM_WRITTEN, Point.CLAIMED),
    (ledger_sql.PARK, Point.PARK_BEFORE_COMMIT, Point.PARKED),
    (ledger_sql.RELEASE, None, Point.RELEASED),
    (schedules_sql.ADVANCE, Point.TICK_BEFORE_COMMIT, Point.TICK_COMMITTED),
    (sweeper_sql.PUT_COPIES, Point.SWEEP_BEFORE_COMMIT, Point.SWEEP_COMMITTED),
    (submission.SUBMIT, Point.SUBMIT_BEFORE_COMMIT, Point.SUBMIT_COMMITTED),
    (outbox.PUT, Point.LIVE_COPY_WRITTEN, Point.LIVE_COPY_COMMITTED),
)
"""Transactions by the statement that only they have, the most telling first."""


class FakeClock(Clock):
    """The process's clock: the same instant as the database's."""

    def __init__(self, begin: datetime) -> None:
        self.instant = begin
        self._begin = begin

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return (self.instant - self._begin) / timedelta(seconds=1)


class WatchedConnection:
    """Says of each statement when it comes and when it is done."""

    def __init__(self, connection: AsyncConnection, process: Process) -> None:
        self._connection = connection
        self._process = process
        self._autocommit = False
        self.ran: set[int] = set()

    async def execution_options(self, **options: Any) -> "WatchedConnection":
        await self._connection.execution_options(**options)
        self._autocommit = True
        return self

    async def execute(self, statement: TextClause, parameters: Any = None) -> Any:
        await self._process.may_go_on()
        if point := BEFORE.get(id(statement)):
            await self._process.reach(point)
        result = await self._connection.execute(statement, parameters)
        self.ran.add(id(statement))
        if point := self._after(statement, parameters):
            await self._process.reach(point)
        return result

    def _after(self, statement: TextClause, parameters: Any) -> Point | None:
        if statement is ledger_sql.CLAIM and self._autocommit:
            return Point.CLAIMED
        if statement is submission.SUBMIT:
            return Point.TICK_RUN_WRITTEN if id(schedules_sql.CLAIM) in self.ran else Point.SUBMIT_RUN_WRITTEN
        if statement is outbox.PUT and id(schedules_sql.CLAIM) in self.ran:
            return Point.TICK_OUTBOX_WRITTEN
        if statement is outbox.PUT and id(ledger_sql.RECORD) in self.ran:
            (row,) = parameters
            return Point.DEAD_LETTER_WRITTEN if row["topic"].endswith(".dlq") else Point.RETRY_WRITTEN
        return AFTER.get(id(statement))


class WatchedEngine:
    """The pool of a process, as ``AsyncEngine`` has it for what the product uses of it."""

    def __init__(self, engine: AsyncEngine, process: Process) -> None:
        self._engine = engine
        self._process = process

    @classmethod
    def of(cls, engine: AsyncEngine, process: Process) -> AsyncEngine:
        return cast(AsyncEngine, cls(engine, process))

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[WatchedConnection]:
        await self._process.may_go_on()
        async with self._engine.connect() as connection:
            yield WatchedConnection(connection, self._process)

    def begin(self) -> AbstractAsyncContextManager[WatchedConnection]:
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[WatchedConnection]:
        await self._process.may_go_on()
        async with self._engine.begin() as connection:
            watched = WatchedConnection(connection, self._process)
            yield watched
            commit = next((commit for commit in COMMITS if id(commit[0]) in watched.ran), None)
            if commit and commit[1]:
                await self._process.reach(commit[1])
        if commit:
            await self._process.reach(commit[2])


class WatchedLeadConnection:
    """The relay's connection, in the same way."""

    def __init__(self, connection: asyncpg.Connection, process: Process) -> None:
        self._connection = connection
        self._process = process

    @classmethod
    def of(cls, connection: asyncpg.Connection, process: Process) -> asyncpg.Connection:
        return cast(asyncpg.Connection, cls(connection, process))

    async def fetch(self, statement: str, *arguments: object) -> Any:
        await self._process.may_go_on()
        rows = await self._connection.fetch(statement, *arguments)
        if statement == relay_sql.DUE and rows:
            await self._process.reach(Point.RELAY_READ)
        return rows

    async def execute(self, statement: str, *arguments: object) -> None:
        await self._process.may_go_on()
        if statement == relay_sql.DELETE:
            await self._process.reach(Point.RELAY_ACKNOWLEDGED)
        await self._connection.execute(statement, *arguments)
        if statement == relay_sql.DELETE:
            await self._process.reach(Point.RELAY_DELETED)
