"""Deletes in batches: each in a transaction of its own, which a kill leaves whole and undone, or done."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.claims import Claim
from streams.ledger import hold

BATCH = 5_000


@dataclass(frozen=True)
class Batches:
    """Deletes for one run. Rows that others have locked are left to the next run. A dry run counts, no more."""

    engine: AsyncEngine
    claim: Claim
    dry_run: bool
    size: int = BATCH

    async def delete(
        self, table: sa.Table, which: "sa.ColumnElement[bool]", referring: "Sequence[sa.Column[Any]]" = ()
    ) -> list[int]:
        """How many rows ``which`` is true of, and how many refer to them by each column of ``referring``; those are
        deleted first. Raises ``LostClaim`` where the run is no longer ours.
        """
        (key,) = table.primary_key.columns
        if self.dry_run:
            return await self._count(key, which, referring)
        counts, last = [0] * (1 + len(referring)), None
        while True:
            await still_ours(self.engine, self.claim)
            async with self.engine.begin() as connection:
                keys = await self._lock(connection, key, which if last is None else sa.and_(which, key > last))
                for place, column in enumerate(referring, 1):
                    counts[place] += await _delete(connection, column, keys)
                counts[0] += await _delete(connection, key, keys)
            if len(keys) < self.size:
                return counts
            last = keys[-1]

    async def _lock(
        self, connection: AsyncConnection, key: "sa.Column[Any]", which: "sa.ColumnElement[bool]"
    ) -> list[Any]:
        """The next rows, ours until COMMIT, in the order of their keys, so that each is looked at once."""
        rows = sa.select(key).where(which).order_by(key).limit(self.size).with_for_update(skip_locked=True)
        return list((await connection.execute(rows)).scalars())

    async def _count(
        self, key: "sa.Column[Any]", which: "sa.ColumnElement[bool]", referring: "Sequence[sa.Column[Any]]"
    ) -> list[int]:
        going = sa.select(key).where(which)
        queries = [sa.select(sa.func.count()).select_from(going.subquery())]
        queries += [sa.select(sa.func.count()).where(column.in_(going)) for column in referring]
        async with self.engine.connect() as connection:
            return [int((await connection.execute(query)).scalar_one()) for query in queries]


async def still_ours(engine: AsyncEngine, claim: Claim) -> None:
    """Raises ``LostClaim``. In a transaction of its own: a run that stays locked could not renew its lease."""
    async with engine.begin() as connection:
        await hold(connection, claim)


async def _delete(connection: AsyncConnection, column: "sa.Column[Any]", keys: Sequence[Any]) -> int:
    if not keys:
        return 0
    return (await connection.execute(sa.delete(column.table).where(is_one_of(column, keys)))).rowcount


def is_one_of(column: "sa.Column[Any]", values: Sequence[Any]) -> "sa.ColumnElement[bool]":
    """By one parameter, however many there are."""
    return column == sa.any_(sa.literal(list(values), ARRAY(column.type)))
