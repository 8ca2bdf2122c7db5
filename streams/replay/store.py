"""The rows of replays: one for each, which says what was asked for, how far it is, and who did what to it."""

import getpass
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.db import autocommit
from streams.replay import replay_sql as sql
from streams.replay.fates import Counts
from streams.replay.planning import Plan
from streams.replay.request import Request, UnknownReplay, WrongReplay
from streams.replay.stretches import Gap, Stretch
from streams.replay.throttle import Waits

Facts = dict[str, Any]

CHANGES: Mapping[str, tuple[str, Sequence[str]]] = {
    "pause": ("paused", ("running",)),
    "resume": ("running", ("paused", "failed")),
    "cancel": ("cancelled", ("running", "paused", "failed")),
}
"""What an operator does -> the state that comes of it, and those in which it can be done."""


class LostReplay(Exception):
    """Somebody has paused or cancelled it, or another worker reads it: nothing of this step is stored."""


@dataclass
class Replay:
    """A replay that this worker reads, and how far it is."""

    id: int
    request: Request
    since: datetime | None
    until: datetime | None
    stretches: list[Stretch]
    owner: str
    takeovers: int = 0
    counts: Counts = field(default_factory=Counts)
    gaps: list[Gap] = field(default_factory=list)
    positions: dict[int, int] = field(default_factory=dict)

    @property
    def generation(self) -> int:
        """The same for every attempt at this replay, and no other's: so is each id of its commands."""
        return self.id if self.request.mode == "redo" else 0

    @property
    def left(self) -> list[Stretch]:
        """What is still to be read."""
        moved = [
            Stretch(stretch.partition, self.positions.get(stretch.partition, stretch.begin), stretch.end)
            for stretch in self.stretches
        ]
        return [stretch for stretch in moved if stretch.begin < stretch.end]


def somebody() -> str:
    """Who runs this program, for the audit."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as containers have
        name = f"user {os.getuid()}"
    return f"{name}@{socket.gethostname()}"


async def create(connection: AsyncConnection, plan: Plan, who: str) -> int:
    """The replay is there; the next worker that is free begins to read. Its number."""
    request = plan.selection.request
    values = {
        "mode": request.mode,
        "topic": request.topic,
        "request": _json(request),
        "plan": _json({"counts": plan.counts}),
        "since": plan.selection.since,
        "until": plan.selection.until,
        "stretches": _json(plan.stretches),
        "gaps": _json(plan.gaps),
        "who": who,
        "note": request.note,
    }
    return int((await connection.execute(sql.INSERT, values)).scalar_one())


async def list_replays(connection: AsyncConnection, limit: int) -> list[Facts]:
    """All that is known of the newest, without how their runs stand."""
    return [dict(row) for row in (await connection.execute(sql.LIST, {"limit": limit})).mappings()]


async def show_replay(connection: AsyncConnection, number: int) -> Facts:
    """All that is known of one, with its runs by state. Raises ``UnknownReplay``."""
    row = (await connection.execute(sql.SHOW, {"id": number})).mappings().first()
    if row is None:
        raise UnknownReplay(f"there is no replay {number}; `tailrace replay status` lists them")
    runs = {found.state: found.runs for found in await connection.execute(sql.RUNS, {"id": number})}
    return {**row, "runs": runs}


async def change(engine: AsyncEngine, number: int, what: str, who: str) -> int:
    """Pause, resume or cancel it; how many of its waiting runs were cancelled with it. Raises ``WrongReplay``."""
    state, states = CHANGES[what]
    async with engine.begin() as connection:
        values = {"id": number, "state": state, "states": list(states), "what": state, "who": who}
        if (await connection.execute(sql.CHANGE, values)).first() is None:
            found = await show_replay(connection, number)
            raise WrongReplay(f"replay {number} is {found['state']}; to {what} it, it must be {' or '.join(states)}")
        if what != "cancel":
            return 0
        return int((await connection.execute(sql.CANCEL_RUNS, {"id": number})).scalar_one())


async def take(engine: AsyncEngine, owner: str, lease: timedelta) -> Replay | None:
    """A replay that nobody reads; ours until the lease runs out."""
    async with autocommit(engine) as connection:
        row = (await connection.execute(sql.TAKE, {"owner": owner, "lease": lease})).first()
    return _replay(row) if row is not None else None


async def advance(connection: AsyncConnection, replay: Replay, lease: timedelta) -> None:
    """Store how far it is, in the caller's transaction. Raises ``LostReplay``."""
    values = {
        "id": replay.id,
        "owner": replay.owner,
        "positions": _json({str(partition): offset for partition, offset in replay.positions.items()}),
        "counts": _json(replay.counts),
        "gaps": _json(replay.gaps),
        "lease": lease,
    }
    if (await connection.execute(sql.ADVANCE, values)).first() is None:
        raise LostReplay(f"replay {replay.id} is not {replay.owner}'s to read any more")


async def release(
    engine: AsyncEngine, replay: Replay, *, state: str | None = None, error: str | None = None, report: Any = None
) -> None:
    """Give it back: ended in ``state``, or for another worker to go on with."""
    packed = None if report is None else _json(report)
    async with autocommit(engine) as connection:
        values = {"id": replay.id, "owner": replay.owner, "state": state, "error": error, "report": packed}
        await connection.execute(sql.RELEASE, values)


async def count_open(connection: AsyncConnection, replay: Replay) -> int:
    """Its runs that are at work, or about to be."""
    return int((await connection.execute(sql.OPEN, {"id": replay.id})).scalar_one())


async def live_waits(connection: AsyncConnection, span: timedelta) -> Waits:
    """How live work has fared for so long."""
    row = (await connection.execute(sql.LIVE_WAITS, {"span": span})).one()
    start, outbox = (timedelta(seconds=float(found or 0)) for found in (row.start, row.outbox))
    return Waits(row.live, start, row.replayed, outbox)


def _replay(row: Row[Any]) -> Replay:
    return Replay(
        id=row.id,
        request=msgspec.convert(row.request, Request),
        since=row.since,
        until=row.until,
        stretches=msgspec.convert(row.stretches, list[Stretch]),
        owner=row.owner,
        takeovers=row.takeovers,
        counts=msgspec.convert(row.counts, Counts),
        gaps=msgspec.convert(row.gaps, list[Gap]),
        positions={int(partition): offset for partition, offset in row.positions.items()},
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
