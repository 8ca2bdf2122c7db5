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
            cause = Identity("/test", wanted.name, str(number))
            command = Command(
                id=command_id(cause, wanted.name), task=wanted.name, args={"user_id": number},
                caused_at=datetime.now(UTC), cause=cause,
            )  # fmt: skip
            await submit(connection, Submission(command, wanted.queue, key=str(number).encode()))


def with_worker(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update={"worker": settings.worker.model_copy(update=changes)})
