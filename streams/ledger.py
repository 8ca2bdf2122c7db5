"""The ledger of runs: who may run a command, and the one row that says how it ended.

Every transition out of ``running`` is conditional on (id, attempt, worker) inside the effect's transaction,
so a worker that was taken for dead, or a COMMIT whose answer was lost, does nothing twice.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.commands import Command
from streams import ledger_sql as sql
from streams.db import autocommit

MAX_TAKEOVERS = 5
"""A run that has outlived this many workers is dead: it probably kills them."""


@dataclass(frozen=True)
class Claim:
    """This worker's right to run one attempt, until its lease runs out."""

    id: uuid.UUID
    caused_at: datetime
    attempt: int
    worker: str
    takeovers: int = 0

    @property
    def key(self) -> dict[str, Any]:
        """What the row must still say: a worker whose lease lapsed may have taken the run over from itself."""
        return {
            "id": self.id,
            "caused_at": self.caused_at,
            "attempt": self.attempt,
            "worker": self.worker,
            "takeovers": self.takeovers,
        }


@dataclass(frozen=True)
class Finished:
    """It is done, or a later attempt has taken its place: this delivery is a duplicate."""


@dataclass(frozen=True)
class LiveUntil:
    """Another delivery of it runs, and its lease holds until then."""

    until: datetime


Answer = Claim | Finished | LiveUntil


class LostClaim(Exception):
    """The run is no longer ours: it was taken over, or it has been recorded already."""


@dataclass(frozen=True)
class Order:
    """A command as it came off its queue."""

    command: Command
    queue: str
    enqueued_at: datetime
    key: bytes | None = None


@dataclass(frozen=True)
class Ending:
    """How a run left ``running``. ``next_attempt`` and ``scheduled_for`` only where it is parked."""

    state: str
    outcome: Mapping[str, Any] | None = None
    error: str | None = None
    next_attempt: int | None = None
    scheduled_for: datetime | None = None


@dataclass(frozen=True)
class Months:
    """A run can be recorded if its cause lies in [first, last)."""

    first: datetime
    last: datetime


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
        asked: dict[uuid.UUID, int] = {}
        for index, order in enumerate(orders):
            first = asked.setdefault(order.command.id, index)
            if order.command.attempt > orders[first].command.attempt:
                asked[order.command.id] = index
        chosen = sorted((orders[index] for index in asked.values()), key=lambda order: order.command.id)
        async with autocommit(self.engine) as connection:
            answers = await self._claimed(connection, chosen)
            refused = [order.command for order in chosen if order.command.id not in answers]
            if refused:
                answers |= await self._refused(connection, refused)
        return [
            answers[order.command.id] if asked[order.command.id] == index else Finished()
            for index, order in enumerate(orders)
        ]

    async def _claimed(self, connection: AsyncConnection, orders: Sequence[Order]) -> dict[uuid.UUID, Answer]:
        commands = {order.command.id: order.command for order in orders}
        columns = {
            "ids": list(commands),
            "caused_at": [command.caused_at for command in commands.values()],
            "tasks": [command.task for command in commands.values()],
            "attempts": [command.attempt for command in commands.values()],
            "generations": [command.generation for command in commands.values()],
            "args": [msgspec.json.encode(command.args).decode() for command in commands.values()],
            "queues": [order.queue for order in orders],
            "enqueued_at": [order.enqueued_at for order in orders],
            "causes": [msgspec.json.encode(command.cause).decode() for command in commands.values()],
            "keys": [order.key for order in orders],
        }
        rows = await connection.execute(sql.CLAIM, {**columns, "worker": self.worker, "lease": self.lease})
        return {
            row.id: Claim(row.id, commands[row.id].caused_at, commands[row.id].attempt, self.worker, row.takeovers)
            for row in rows
        }

    async def _refused(self, connection: AsyncConnection, commands: Sequence[Command]) -> dict[uuid.UUID, Answer]:
        keys = {"ids": [c.id for c in commands], "caused_at": [c.caused_at for c in commands]}
        rows = {row.id: row for row in await connection.execute(sql.REFUSED, keys)}
        return {command.id: _answer(command, rows[command.id]) for command in commands}

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

    async def hold(self, connection: AsyncConnection, claim: Claim) -> None:
        """As ``hold``, for those who are handed a ledger."""
        await hold(connection, claim)

    async def renew(self, claims: Sequence[Claim]) -> None:
        """Extend the leases of what runs."""
        columns = {
            "ids": [claim.id for claim in claims],
            "caused_at": [claim.caused_at for claim in claims],
            "attempts": [claim.attempt for claim in claims],
            "takeovers": [claim.takeovers for claim in claims],
        }
        async with autocommit(self.engine) as connection:
            await connection.execute(sql.RENEW, {**columns, "worker": self.worker, "lease": self.lease})

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

    async def release(self, claim: Claim) -> None:
        """Give back a claim that was not started."""
        async with autocommit(self.engine) as connection:
            await connection.execute(sql.RELEASE, claim.key)


async def hold(connection: AsyncConnection, claim: Claim) -> None:
    """Make sure, until the caller's COMMIT, that the run is this claim's. Raises ``LostClaim``."""
    if (await connection.execute(sql.HOLD, claim.key)).first() is None:
        raise LostClaim(f"run {claim.id} attempt {claim.attempt} is no longer {claim.worker}'s")


def _answer(command: Command, row: Any) -> Answer:
    """What the row says to a command that could not be claimed."""
    if row.attempt == command.attempt and row.state == "running":
        return LiveUntil(row.lease_until)
    if row.attempt == command.attempt and row.state in ("queued", "parked"):
        return LiveUntil(row.now)  # it changed hands between the two statements: ask again at once
    return Finished()
