"""Whether the database answers, as a check for health."""

import asyncio
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.cancellation import is_cancelled
from streams.database_errors import DATABASE_ERRORS, explain
from streams.db import autocommit
from streams.setting_groups import Database

PROBE_EVERY = timedelta(seconds=2)
PROBE_TIMEOUT = 5


class DatabaseProbe:
    """Asks the database, again and again, whether it answers."""

    def __init__(self, engine: AsyncEngine, database: Database) -> None:
        self._engine = engine
        self._database = database
        self._problem: str | None = "has not been asked yet"

    def problem(self) -> str | None:
        """What the last question found."""
        return self._problem

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            await self.ask()
            await asyncio.sleep(PROBE_EVERY.total_seconds())

    async def ask(self) -> None:
        """Ask once, and wait for the answer at most ``PROBE_TIMEOUT`` seconds."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT), autocommit(self._engine) as connection:
                await connection.execute(text("SELECT 1"))
            self._problem = None
        except DATABASE_ERRORS as error:
            if is_cancelled():
                raise
            self._problem = explain(error, self._database)
