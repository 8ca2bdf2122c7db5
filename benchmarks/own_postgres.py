"""A durable PostgreSQL of a benchmark's own, with our schema, for as long as the block."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from streams.devstack.postgres import Postgres
from streams.devstack.processes import PortClaims
from streams.devstack.readiness import tell_nobody
from streams.migrations.run import migrate
from streams.settings import Settings


@asynccontextmanager
async def own_postgres() -> AsyncIterator[Settings]:
    """Settings that name it."""
    with tempfile.TemporaryDirectory() as folder:
        claims = PortClaims()
        server = Postgres(Path(folder) / "postgres", Path(folder) / "log", claims.take(0), True, tell_nobody)
        await server.start()
        try:
            await migrate(server.url)
            yield Settings.load({"TAILRACE_DATABASE__URL": server.url})
        finally:
            await server.stop(timedelta(seconds=5))
            claims.release()
