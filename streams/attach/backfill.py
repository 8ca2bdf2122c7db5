"""Events of rows that were there before the triggers: in pages by key, slowly enough for the living, and resumable.

The ids are the triggers' own, so what was done before is not done again.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from streams.attach.event_sql import (
    Columns,
    Saying,
    insert_events,
    post_tagged,
    post_uploaded,
    quoted_table,
    user_created,
)

NAMES: Mapping[str, Callable[[Columns], Saying]] = {
    "users": user_created,
    "posts": post_uploaded,
    "post_hashtags": post_tagged,
}
"""Table -> what each of its rows says."""

PAGE = 1_000
MOST_WAITING = 5_000
"""Rows of the outbox that are due, beyond which a backfill waits: events of today queue behind it."""
LOOK_AGAIN = timedelta(milliseconds=250)

# Where this backfill stands; made on the first look.
BEGIN = """
    INSERT INTO tailrace.backfills (name, since) VALUES ($1, $2)
    ON CONFLICT (name, since) DO UPDATE SET name = excluded.name
    RETURNING position, looked_at, said, set_aside, finished_at
"""
# From the start again.
FORGET = "DELETE FROM tailrace.backfills WHERE name = $1 AND since = $2"
# A page is said and the place moves on in one transaction.
MOVE_ON = """
    UPDATE tailrace.backfills SET position = $3, looked_at = looked_at + $4, said = said + $5,
           set_aside = set_aside + $6
     WHERE name = $1 AND since = $2
"""
FINISH = "UPDATE tailrace.backfills SET finished_at = now() WHERE name = $1 AND since = $2"
DUE = "SELECT count(*) FROM (SELECT FROM tailrace.outbox WHERE state = 'pending' AND due_at <= now() LIMIT $1) AS due"
# The ledger refuses commands whose cause is older than its oldest month.
OLDEST_MONTH = "SELECT min(from_day) FROM tailrace.task_run_months"
MAKE_ROOM = "SELECT tailrace.ensure_months($1, $2)"
# Whether a worker runs: one of them holds the relay's lock.
WORKER_RUNS = """
    SELECT EXISTS (
        SELECT FROM pg_locks
         WHERE locktype = 'advisory' AND granted AND objsubid = 1
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND (classid::bigint << 32) | objid::bigint = hashtext('tailrace.relay')::bigint)
"""


class RestartWorkers(Exception):
    """Workers that run do not know yet how far back the ledger reaches; they would refuse what is older."""


async def make_room(connection: asyncpg.Connection, since: datetime) -> None:
    """Months of the ledger back to ``since``. Raises ``RestartWorkers`` where some were missing and a worker runs."""
    oldest = await connection.fetchval(OLDEST_MONTH)
    await connection.execute(MAKE_ROOM, since.date(), datetime.now(UTC).date())
    if since.date() < oldest and await connection.fetchval(WORKER_RUNS):
        raise RestartWorkers(
            f"the ledger reaches back to {since:%Y-%m-%d} now, and workers that run learn of it within an hour: "
            "restart them, then run the same command again"
        )


@dataclass
class Counts:
    """What a backfill has come to, over all its starts."""

    looked_at: int
    said: int
    set_aside: int


@dataclass(frozen=True)
class Backfill:
    """One table's rows that are not older than ``since``."""

    name: str
    since: datetime
    columns: Columns

    async def run(self, connection: asyncpg.Connection, tell: Callable[[str], None]) -> Counts:
        """To the end, from where an earlier start was broken off. A finished one is not begun again."""
        place = await connection.fetchrow(BEGIN, self.name, self.since)
        assert place is not None
        counts = Counts(place["looked_at"], place["said"], place["set_aside"])
        if place["finished_at"]:
            tell(f"{self.name}: was finished at {place['finished_at']:%Y-%m-%d %H:%M}; --again says it all again")
            return counts
        position: str | None = place["position"]
        while True:
            await self._let_the_outbox_drain(connection, tell)
            position, looked = await self._page(connection, position, counts)
            if not looked:
                break
            tell(f"{self.name}: {counts.looked_at} looked at, {counts.said} said, {counts.set_aside} set aside")
        await connection.execute(FINISH, self.name, self.since)
        return counts

    async def forget(self, connection: asyncpg.Connection) -> None:
        """Begin at the first row the next time."""
        await connection.execute(FORGET, self.name, self.since)

    async def _page(self, connection: asyncpg.Connection, after: str | None, counts: Counts) -> tuple[str | None, int]:
        async with connection.transaction():
            keys = [row[0] for row in await connection.fetch(self._keys(after), *self._after(after))]
            if not keys:
                return after, 0
            states = [
                row[0] for row in await connection.fetch(self._say(after), self.since, keys[-1], *self._after(after))
            ]
            said = states.count("pending")
            await connection.execute(MOVE_ON, self.name, self.since, keys[-1], len(keys), said, len(states) - said)
            await connection.execute("SELECT tailrace.wake_relay()")
        counts.looked_at += len(keys)
        counts.said += said
        counts.set_aside += len(states) - said
        return keys[-1], len(keys)

    @property
    def _table(self) -> str:
        return quoted_table(getattr(self.columns.backend, self.name))

    @property
    def _key(self) -> str:
        return self.columns.value(f"{self.name}.id")

    def _behind(self, after: str | None, parameter: int) -> str:
        kind = self.columns.types[f"{self.name}.id"]
        return f"{self._key} > ${parameter}::text::{kind}" if after is not None else "true"

    def _after(self, after: str | None) -> tuple[str, ...]:
        return (after,) if after is not None else ()

    def _keys(self, after: str | None) -> str:
        """The keys of the next page."""
        where = self._behind(after, 1)
        keys = "SELECT {key}::text FROM {table} AS r WHERE {where} ORDER BY {key} LIMIT {page}"
        return keys.format(key=self._key, table=self._table, where=where, page=PAGE)

    def _say(self, after: str | None) -> str:
        """Outbox rows of that page, in the order of the keys."""
        last = f"{self._key} <= $2::text::{self.columns.types[f'{self.name}.id']}"
        where = f"{self._behind(after, 3)} AND {last}"
        page = "(SELECT * FROM {table} AS r WHERE {where} ORDER BY {key}) AS r"
        rows = page.format(table=self._table, where=where, key=self._key)
        saying = NAMES[self.name](self.columns)
        return insert_events(saying, rows) + " WHERE at >= $1 RETURNING state"

    async def _let_the_outbox_drain(self, connection: asyncpg.Connection, tell: Callable[[str], None]) -> None:
        told = False
        while await connection.fetchval(DUE, MOST_WAITING) >= MOST_WAITING:
            if not told:
                tell(f"{self.name}: waits until a worker has published what is in the outbox")
                told = True
            await asyncio.sleep(LOOK_AGAIN.total_seconds())
