"""A task's effect inside the transaction of its record: what fails there is the task's, or the database's."""

import asyncio
from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.cancellation import is_cancelled
from streams.task import Effect

MOST_CALLS = 5
QUERY_CANCELED = "57014"


class EffectFailed(Exception):
    """The effect is at fault and not the database: the run is tried again by its policy."""


class OwnEffect:
    """The task's effect, which may fail for reasons of its own that look like the database's."""

    def __init__(self, effect: Effect) -> None:
        self._effect = effect
        self._calls = 0

    async def write(self, connection: AsyncConnection) -> Mapping[str, Any] | None:
        """What the effect adds to the result. Raises ``EffectFailed`` where waiting for the database mends nothing."""
        self._calls += 1
        if self._calls > MOST_CALLS:
            raise EffectFailed(f"{MOST_CALLS} times the connection was lost in the middle of its effect")
        try:
            return await self._effect(connection)
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            raise EffectFailed("something that its effect waited for was cancelled") from error
        except (OSError, TimeoutError) as error:  # a connection that is lost comes as the driver's error
            raise EffectFailed(repr(error)) from error
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == QUERY_CANCELED:
                raise EffectFailed(repr(error)) from error
            raise
