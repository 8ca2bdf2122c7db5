"""The ledger of runs: who may run a command, and the one row that says how it ended.

Every transition out of ``running`` is conditional on (id, attempt, worker) inside the effect's transaction,
so a worker that was taken for dead, or a COMMIT whose answer was lost, does nothing twice.
"""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams import ledger_sql as sql
from streams.claiming import claim
from streams.claims import Answer, Claim, Ending, LostClaim, Months, Order
from streams.db import autocommit


class Ledger:
    """Claims and records the runs of one worker."""

    def __init__(self, engine: AsyncEngine, worker: str, lease: timedelta) -> None:
        self.engine = engine
        self.worker = worker
        self.lease = lease
        self._months: Months | None = None

    async def claim(self, orders: Sequence[Order]) -> list[Answer]:
        """One answer for each order, in order; of several with one id the latest attempt is asked for once
        and the others are duplicates of it.
        """
        return await claim(self.engine, self.worker, self.lease, orders)

    async def record(self, connection: AsyncConnection, claim: Claim, ending: Ending) -> None:
        """Write the ending in the caller's transaction. Raises ``LostClaim`` if the run is not ours any more;
        the caller then rolls back its effect.
        """
        result = await connection.execute(
            sql.RECORD,
            {
                **claim.key,
                "state": ending.state,
                "next_attempt": ending.next_attempt or claim.attempt,
                "scheduled_for": ending.scheduled_for,
                "outcome": None if ending.outcome is None else msgspec.json.encode(ending.outcome).decode(),
                "error": ending.error,
            },
        )
        if result.rowcount != 1:
            raise LostClaim(f"run {claim.id} attempt {claim.attempt} is no longer {claim.worker}'s")

    async def record_many(self, endings: Sequence[tuple[Claim, Ending]]) -> set[uuid.UUID]:
        """Write endings (done or skipped, of runs without rows of their own) at once; the ids of those that were
        ours. The others have been taken over, or were recorded before.
        """
        columns = {
            **_columns([claim for claim, _ in endings]),
            "states": [ending.state for _, ending in endings],
            "outcomes": [msgspec.json.encode(ending.outcome).decode() for _, ending in endings],
        }
        async with autocommit(self.engine) as connection:
            rows = await connection.execute(sql.RECORD_MANY, {**columns, "worker": self.worker})
            return {row.id for row in rows}

    async def hold(self, connection: AsyncConnection, claim: Claim) -> None:
        """As ``hold``, for those who are handed a ledger."""
        await hold(connection, claim)

    async def hold_many(self, connection: AsyncConnection, claims: Sequence[Claim]) -> set[uuid.UUID]:
        """The ids of those that are ours, and stay so until the caller's COMMIT."""
        rows = await connection.execute(sql.HOLD_MANY, {**_columns(claims), "worker": self.worker})
        return {row.id for row in rows}

    async def renew(self, claims: Sequence[Claim]) -> None:
        """Extend the leases of what is claimed."""
        async with autocommit(self.engine) as connection:
            await connection.execute(sql.RENEW, {**_columns(claims), "worker": self.worker, "lease": self.lease})

    async def state(self, claim: Claim) -> str | None:
        """How this very claim has ended; None where it is another's or still runs."""
        async with autocommit(self.engine) as connection:
            row = (await connection.execute(sql.STATE, {"id": claim.id, "caused_at": claim.caused_at})).one()
        same = row.worker == claim.worker and row.takeovers == claim.takeovers
        ours = same and row.attempt in (claim.attempt, claim.attempt + 1)
        return str(row.state) if ours and row.state != "running" else None

    async def months(self) -> Months:
        """The time that the ledger has partitions for; read once, then as of the last ``make_room``."""
        if self._months is None:
            self._months = await self.make_room()
        return self._months

    async def make_room(self) -> Months:
        """Create the partitions of this month and the next two; called at start and every hour."""
        async with autocommit(self.engine) as connection:
            await connection.execute(sql.MAKE_ROOM)
            row = (await connection.execute(sql.MONTHS)).one()
        self._months = Months(row.first, row.last)
        return self._months

    async def release(self, connection: AsyncConnection, claims: Sequence[Claim]) -> set[uuid.UUID]:
        """Give back claims that have not ended, in the caller's transaction; the ids of those that were ours."""
        rows = await connection.execute(sql.RELEASE, {**_columns(claims), "worker": self.worker})
        return {row.id for row in rows}


async def hold(connection: AsyncConnection, claim: Claim) -> None:
    """Make sure, until the caller's COMMIT, that the run is this claim's. Raises ``LostClaim``."""
    if (await connection.execute(sql.HOLD, claim.key)).first() is None:
        raise LostClaim(f"run {claim.id} attempt {claim.attempt} is no longer {claim.worker}'s")


def _columns(claims: Sequence[Claim]) -> dict[str, list[Any]]:
    return {
        "ids": [claim.id for claim in claims],
        "caused_at": [claim.caused_at for claim in claims],
        "attempts": [claim.attempt for claim in claims],
        "takeovers": [claim.takeovers for claim in claims],
    }
