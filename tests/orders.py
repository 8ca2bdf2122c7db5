"""Commands for tasks of the tests, and settings of the worker that runs them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.commands import Command, command_id
from schemas.envelope import Identity
from streams.settings import Settings
from streams.submission import Submission, submit
from streams.task import Task


async def order(engine: AsyncEngine, wanted: Task, *numbers: int) -> None:
    """Put a command of the task on its queue for each number."""
    async with engine.begin() as connection:
        for number in numbers:
            await submit(connection, Submission(command_for(wanted, number), wanted.queue, key=str(number).encode()))


def command_for(wanted: Task, number: int) -> Command:
    """The task's command with this number for its argument, caused just now."""
    cause, now = Identity("/test", wanted.name, str(number)), datetime.now(UTC)
    run_id = command_id(cause, wanted.name)
    return Command(id=run_id, task=wanted.name, args={"user_id": number}, caused_at=now, cause=cause)


def with_worker(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update={"worker": settings.worker.model_copy(update=changes)})
