"""Each queue as an operator asks for it: whether it runs, and what waits on it."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.topics import QUEUES
from streams.db import autocommit
from streams.kafka_client import worker_group
from streams.queue_states import QueueState, list_states
from streams.run_filter import OPEN
from streams.runs_listing import open_by_queue
from streams.settings import Settings
from streams.status_broker import check_broker


async def read_queues(settings: Settings, engine: AsyncEngine) -> dict[str, Any]:
    """``queues``, by priority, and ``problem``: why the broker could not say what waits, or None.

    ``waiting`` are the commands that no worker has finished, which include those that are running.
    """
    async with autocommit(engine) as connection:
        states = {state.name: state for state in await list_states(connection)}
    runs = await open_by_queue(engine)
    problem, facts = await check_broker(settings)
    group = worker_group(settings.kafka)
    waiting = {row["topic"]: row["lag"] for row in facts.get("lag", ()) if row["group"] == group}
    queues = [
        {
            "name": queue.name,
            "priority": queue.priority,
            **_state(states.get(queue.name)),
            "runs": {state: runs.get(queue.name, {}).get(state, 0) for state in OPEN},
            "waiting": waiting.get(queue.topic),
        }
        for queue in QUEUES
    ]
    return {"queues": queues, "problem": problem}


def _state(found: QueueState | None) -> dict[str, Any]:
    if found is None or not found.paused:
        return {"paused": False, "automatic": False, "reason": None, "since": None}
    return {"paused": True, "automatic": found.automatic, "reason": found.reason, "since": found.changed_at}
