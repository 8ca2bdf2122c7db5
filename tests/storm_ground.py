"""What a storm needs: servers' addresses, a database, topics, and workers."""

import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from streams.db import engine_for
from streams.devstack.stack import Stack
from streams.migrations.run import migrate
from streams.settings import Settings
from streams.topics import create_topics
from tests.storm import Storm, storm_on
from tests.storm_fleet import Fleet, fleet_in

SIZE = 2


@dataclass(frozen=True)
class Ground:
    """A database and topics, with a storm over them and the workers in it."""

    settings: Settings
    storm: Storm
    fleet: Fleet


class Grounds:
    """Gives ground to one test after the other. Workers take seconds to start, so a test gets what the one before has
    left in order; what was not left in order, or may not be shared, is made anew.
    """

    def __init__(self, servers: Stack, folder: Path, *, shared: bool) -> None:
        self._servers = servers
        self._folder = folder
        self._shared = shared
        self._closing = AsyncExitStack()
        self._current: Ground | None = None

    async def give(self) -> Ground:
        """A storm that has not begun or is over, and two workers, ready."""
        if self._current is None or not self._shared or not self._current.storm.is_over:
            await self.close()
            self._current = await self._make()
        await self._current.fleet.grow_to(SIZE)
        return self._current

    async def close(self) -> None:
        """End all workers."""
        await self._closing.aclose()

    async def _make(self) -> Ground:
        name = f"t{uuid.uuid4().hex[:12]}"
        environment = self._environment(name, await self._database(name))
        settings = Settings.load(environment)
        await create_topics(settings)
        engine = engine_for(settings.database)
        self._closing.push_async_callback(engine.dispose)
        storm = await self._closing.enter_async_context(storm_on(settings, engine))
        fleet = await self._closing.enter_async_context(fleet_in(environment, self._folder / name))
        return Ground(settings, storm, fleet)

    async def _database(self, name: str) -> str:
        connection = await asyncpg.connect(self._servers.database_url)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()
        url = self._servers.database_url.rsplit("/", 1)[0] + f"/{name}"
        await migrate(url)
        return url

    def _environment(self, name: str, database_url: str) -> dict[str, str]:
        """Leases shorter than the 6 s after which the broker takes a silent worker for dead, and so few runs at once
        that commands wait.
        """
        return {
            "TAILRACE_KAFKA__BOOTSTRAP_SERVERS": self._servers.bootstrap_servers,
            "TAILRACE_KAFKA__TOPIC_PREFIX": f"{name}.",
            "TAILRACE_DATABASE__URL": database_url,
            "TAILRACE_MEDIA__ROOT": str(self._folder),
            "TAILRACE_WORKER__LEASE": "4s",
            "TAILRACE_WORKER__CONCURRENCY": "10",
            "TAILRACE_LOG__LEVEL": "warning",
        }
