"""Ask the ledger for commands, many at once: which are ours to run, and why the others are not."""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.commands import Command
from streams import ledger_sql as sql
from streams.claims import Answer, Busy, Claim, Finished, LiveUntil, Order
from streams.db import autocommit, is_locked_out

Answers = dict[uuid.UUID, Answer]

LOCKED_DELAY = timedelta(seconds=2)


async def claim(engine: AsyncEngine, worker: str, lease: timedelta, orders: Sequence[Order]) -> list[Answer]:
    """One answer for each order, in order; of several with one id the latest attempt is asked for once
    and the others are duplicates of it.
    """
    asked: dict[uuid.UUID, int] = {}
    for index, order in enumerate(orders):
        first = asked.setdefault(order.command.id, index)
        if order.command.attempt > orders[first].command.attempt:
            asked[order.command.id] = index
    chosen = sorted((orders[index] for index in asked.values()), key=lambda order: order.command.id)
    answers = await _answers(engine, Lessee(worker, lease), chosen)
    return [
        answers[order.command.id] if asked[order.command.id] == index else Finished()
        for index, order in enumerate(orders)
    ]


async def _answers(engine: AsyncEngine, lessee: "Lessee", orders: Sequence[Order]) -> Answers:
    """One that is locked by somebody else, e.g. by an effect that waits, holds up no other: it is asked for later."""
    answers: Answers = {}
    try:
        if free := [order for order in orders if order.concurrency_key is None]:
            async with autocommit(engine) as connection:
                answers |= await _claimed_or_refused(connection, lessee, free)
        if keyed := [order for order in orders if order.concurrency_key is not None]:
            async with engine.begin() as connection:
                answers |= await _keyed(connection, lessee, keyed)
    except DBAPIError as error:
        if not is_locked_out(error):
            raise
        left = [order for order in orders if order.command.id not in answers]
        if len(left) == 1:
            return answers | {left[0].command.id: LiveUntil(datetime.now(UTC) + LOCKED_DELAY)}
        for order in left:
            answers |= await _answers(engine, lessee, [order])
    return answers


@dataclass(frozen=True)
class Lessee:
    """For whom, and for how long."""

    worker: str
    lease: timedelta


async def _keyed(connection: AsyncConnection, lessee: Lessee, orders: Sequence[Order]) -> Answers:
    """No more claims for a key than its limit leaves; counted and claimed under the keys' locks."""
    keys = [order.concurrency_key for order in orders]
    await connection.execute(sql.LOCK_KEYS, {"keys": keys})
    rows = await connection.execute(sql.RUNNING_BY_KEY, {"keys": keys})
    running = Counter({row.concurrency_key: row.running for row in rows})
    admitted: list[Order] = []
    busy: list[Order] = []
    for order in orders:
        fits = running[order.concurrency_key] < order.concurrency_limit
        (admitted if fits else busy).append(order)
        running[order.concurrency_key] += fits
    answers = await _claimed_or_refused(connection, lessee, admitted) if admitted else {}
    return answers | await _refused(connection, busy, otherwise=Busy()) if busy else answers


async def _claimed_or_refused(connection: AsyncConnection, lessee: Lessee, orders: Sequence[Order]) -> Answers:
    answers = await _claimed(connection, lessee, orders)
    refused = [order for order in orders if order.command.id not in answers]
    return answers | await _refused(connection, refused) if refused else answers


async def _claimed(connection: AsyncConnection, lessee: Lessee, orders: Sequence[Order]) -> Answers:
    commands = [order.command for order in orders]
    columns = {
        "ids": [command.id for command in commands],
        "caused_at": [command.caused_at for command in commands],
        "tasks": [command.task for command in commands],
        "attempts": [command.attempt for command in commands],
        "generations": [command.generation for command in commands],
        "args": [msgspec.json.encode(command.args).decode() for command in commands],
        "queues": [order.queue for order in orders],
        "enqueued_at": [order.enqueued_at for order in orders],
        "causes": [msgspec.json.encode(command.cause).decode() for command in commands],
        "keys": [order.key for order in orders],
        "concurrency_keys": [order.concurrency_key for order in orders],
    }
    rows = await connection.execute(sql.CLAIM, {**columns, "worker": lessee.worker, "lease": lessee.lease})
    by_id = {command.id: command for command in commands}
    return {
        row.id: Claim(
            row.id, by_id[row.id].caused_at, by_id[row.id].attempt, lessee.worker, row.takeovers, row.first_attempt
        )
        for row in rows
    }


async def _refused(connection: AsyncConnection, orders: Sequence[Order], otherwise: Answer | None = None) -> Answers:
    """Why they could not be claimed; ``otherwise`` for what is waiting, or not known at all."""
    commands = [order.command for order in orders]
    keys = {"ids": [c.id for c in commands], "caused_at": [c.caused_at for c in commands]}
    rows = {row.id: row for row in await connection.execute(sql.REFUSED, keys)}
    return {command.id: _answer(command, rows.get(command.id), otherwise) for command in commands}


async def park(connection: AsyncConnection, order: Order, due: datetime) -> None:
    """What was ``Busy`` waits until ``due``, at the same attempt, in the caller's transaction."""
    command = order.command
    await connection.execute(
        sql.PARK,
        {
            "id": command.id,
            "caused_at": command.caused_at,
            "task": command.task,
            "queue": order.queue,
            "attempt": command.attempt,
            "generation": command.generation,
            "args": msgspec.json.encode(command.args).decode(),
            "enqueued_at": order.enqueued_at,
            "due": due,
            "cause": msgspec.json.encode(command.cause).decode(),
            "key": order.key,
            "concurrency_key": order.concurrency_key,
        },
    )


def _answer(command: Command, row: Any, otherwise: Answer | None) -> Answer:
    """What the row says to a command that was not claimed."""
    same = row is not None and row.attempt == command.attempt
    live = same and row.state == "running" and row.lease_until >= row.now
    waiting = same and not live and row.state in ("queued", "parked", "running")
    if otherwise is not None and (waiting or row is None):
        return otherwise
    if live or waiting:
        # One that waits has changed hands between the two statements: ask again at once.
        return LiveUntil(row.lease_until if live else row.now)
    return Finished()
