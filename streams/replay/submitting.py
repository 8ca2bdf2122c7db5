"""Put many commands of a replay on their queues in one transaction: ledger and outbox commit with its position."""

import uuid
from collections.abc import Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.commands import Command
from schemas.topics import QUEUE_BY_NAME
from streams.lanes import low_priority
from streams.outbox import WAKE, pack_headers
from streams.replay import replay_sql as sql
from streams.replay.fates import Order
from streams.submission import command_headers, requeue


async def submit_orders(
    connection: AsyncConnection, replay: int, orders: Sequence[Order], generation: int
) -> set[uuid.UUID]:
    """The ids of the orders that are on their queues now. One that somebody else has submitted is left alone.

    What is done again has this generation. What was never done has none, as if it had been done in time.
    """
    made = {order.id: order.command(generation if order.fate == "again" else 0) for order in orders}
    submitted = await _insert(connection, replay, list({order.id: order for order in orders}.values()), made)
    for order in orders:
        ended = order.fate == "again" and not generation and order.id not in submitted
        if ended and await _requeue(connection, replay, order):
            submitted.add(order.id)
    return submitted


async def _requeue(connection: AsyncConnection, replay: int, order: Order) -> bool:
    """Whether the run is this replay's now, as its next attempt."""
    low, ended = low_priority(replay), ("dead", "cancelled")
    if await requeue(connection, order.id, order.caused_at, states=ended, headers=low) is None:
        return False
    await connection.execute(sql.ADOPT, {"id": order.id, "caused_at": order.caused_at, "replay": replay})
    return True


async def _insert(
    connection: AsyncConnection, replay: int, orders: Sequence[Order], made: dict[uuid.UUID, Command]
) -> set[uuid.UUID]:
    if not orders:
        return set()
    commands = [made[order.id] for order in orders]
    columns = {
        "ids": [command.id for command in commands],
        "caused_at": [command.caused_at for command in commands],
        "tasks": [command.task for command in commands],
        "queues": [order.task.queue for order in orders],
        "generations": [command.generation for command in commands],
        "args": [msgspec.json.encode(command.args).decode() for command in commands],
        "causes": [msgspec.json.encode(command.cause).decode() for command in commands],
        "keys": [order.record.key for order in orders],
        "replay": replay,
    }
    inserted = {row.id for row in await connection.execute(sql.SUBMIT, columns)}
    new = [order for order in orders if made[order.id].id in inserted]
    if new:
        await connection.execute(sql.PUT_COPIES, _copies(replay, new, made))
        await connection.execute(WAKE)
    return {order.id for order in new}


def _copies(replay: int, orders: Sequence[Order], made: dict[uuid.UUID, Command]) -> dict[str, list[object]]:
    commands = [made[order.id] for order in orders]
    return {
        "topics": [QUEUE_BY_NAME[order.task.queue].topic for order in orders],
        "keys": [order.record.key for order in orders],
        "headers": [pack_headers(command_headers(command.task, low_priority(replay))) for command in commands],
        "payloads": [msgspec.json.encode(command) for command in commands],
        "dedupe_keys": [f"submit:{command.id}:{command.attempt}" for command in commands],
    }
