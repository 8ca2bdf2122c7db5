"""``GET /api/v1/overview``: what runs, and the latest of everything, for the page and for scripts."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web
from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.selectable import TextualSelect

from streams.database_errors import DATABASE_ERRORS, explain
from streams.db import autocommit
from streams.health import Health
from streams.setting_groups import Database
from streams.web import overview_sql as sql
from streams.web.answers import json_response

FRESH_FOR = 0.5
"""Seconds for which one reading serves everyone who asks."""

SHARE = 9
"""A reading is kept for this many times its own duration: however long the queries take and however many
people watch, they keep at most a tenth of one connection busy, up to ``LONGEST`` seconds.
"""

LONGEST = 5
PATIENCE = 5
"""Seconds for the database to answer; the page gives up a little later."""


class Overview:
    """Reads what the page shows, once for all who ask at the same time."""

    def __init__(
        self, engine: AsyncEngine, database: Database, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._database = database
        self._monotonic = monotonic
        self._reading = asyncio.Lock()
        self._latest: dict[str, Any] = {}
        self._problem: str | None = None
        self._fresh_until = float("-inf")

    async def latest(self) -> dict[str, Any]:
        """The present state, at most ``FRESH_FOR`` seconds old where queries are quick. Raises
        ``HTTPServiceUnavailable`` that says what is wrong with the database.
        """
        async with self._reading:
            started = self._monotonic()
            if started >= self._fresh_until:
                await self._read()
                ended = self._monotonic()
                self._fresh_until = ended + min(LONGEST, max(FRESH_FOR, SHARE * (ended - started)))
            if self._problem:
                raise web.HTTPServiceUnavailable(text=self._problem)
            return self._latest

    async def _read(self) -> None:
        """Take in the present state, or the problem: everyone who waits is told of one failure at once."""
        try:
            async with asyncio.timeout(PATIENCE), autocommit(self._engine) as connection:
                self._latest, self._problem = await read_overview(connection), None
        except DATABASE_ERRORS as error:
            self._problem = explain(error, self._database)


async def read_overview(connection: AsyncConnection) -> dict[str, Any]:
    """Everything that the database knows of what the page shows."""
    (now,) = await _rows(connection, sql.NOW)
    (outbox,) = await _rows(connection, sql.OUTBOX)
    return {
        "as_of": now["now"],
        "tasks": _by_task(await _rows(connection, sql.RUNS_BY_TASK)),
        "outbox": outbox,
        "workers": await _rows(connection, sql.WORKERS),
        "runs": await _rows(connection, sql.LATEST_RUNS),
        "mails": await _rows(connection, sql.LATEST_MAILS),
        "pictures": [_picture(row) for row in await _rows(connection, sql.LATEST_PICTURES)],
    }


def add_overview(app: web.Application, overview: Overview, health: Health) -> None:
    """Serve the overview with this server's own problems in it."""

    async def show(_: web.Request) -> web.Response:
        return json_response({**await overview.latest(), "problems": health.problems()})

    app.router.add_get("/api/v1/overview", show)


async def _rows(connection: AsyncConnection, statement: TextClause | TextualSelect) -> list[dict[str, Any]]:
    return [dict(row) for row in (await connection.execute(statement)).mappings()]


def _by_task(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    tasks: dict[str, dict[str, int]] = {}
    for row in rows:
        tasks.setdefault(row["task"], {})[row["state"]] = row["runs"]
    return [{"task": task, "states": states} for task, states in tasks.items()]


def _picture(row: dict[str, Any]) -> dict[str, Any]:
    """The row with the address of its file, which is None for a key that this server does not serve."""
    key = row["key"]
    return {**row, "url": f"/media/{key}" if key.startswith("renditions/") else None}
