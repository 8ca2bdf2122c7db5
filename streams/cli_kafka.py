"""What the commands that work on broker and database share."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from streams.cli_database import with_database
from streams.settings import Settings

T = TypeVar("T")


class BrokerAway(Exception):
    """The message says what to do."""


def with_servers(
    command: str, action: Callable[[Settings, AsyncEngine], Awaitable[T]], *, refusals: tuple[type[Exception], ...] = ()
) -> T:
    """As ``with_database``; a broker that cannot be used ends the program with a message, too."""
    from aiokafka.errors import KafkaError

    async def act(settings: Settings, engine: AsyncEngine) -> T:
        try:
            return await action(settings, engine)
        except KafkaError as error:
            servers = settings.kafka.bootstrap_servers
            raise BrokerAway(
                f"Kafka at {servers} cannot be used ({error!r}); "
                "check that it runs, and the settings TAILRACE_KAFKA__..."
            ) from error

    return with_database(command, act, refusals=(*refusals, BrokerAway))
