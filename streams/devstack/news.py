"""A line for each thing done, told from the ledger."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backend import BackendTables
from streams.db import is_passing
from streams.devstack import up_sql
from streams.devstack.display import seconds_since_start

LOOK = timedelta(seconds=1)
LOOK_AT_FIRST = timedelta(milliseconds=200)
LINES = 4
MAIL, PHOTO = "send_welcome_email", "process_media_upload"
OTHER_STATES = {"skipped": "skip", "parked": "retry", "dead": "dead", "cancelled": "cancel"}

Say = Callable[[str, str], None]


class News:
    """Looks once a second and tells at most a few lines a look. ``firsts`` has when each task was first done."""

    def __init__(self, engine: AsyncEngine, backend: BackendTables, say: Say) -> None:
        self.firsts: dict[str, float] = {}
        self._engine, self._backend, self._say = engine, backend, say
        self._since = datetime.now(UTC)

    async def run(self) -> None:
        """Tell until cancelled. While the database is away there are no news."""
        while True:
            try:
                await self.look()
            except Exception as error:
                if not is_passing(error):
                    raise
            # Often until both have happened, so that their times are right.
            pause = LOOK if {MAIL, PHOTO} <= self.firsts.keys() else LOOK_AT_FIRST
            await asyncio.sleep(pause.total_seconds())

    async def look(self) -> None:
        """Tell what ended since the last look."""
        async with self._engine.connect() as connection:
            runs = (await connection.execute(up_sql.ENDED_SINCE, {"since": self._since})).all()
        for run in runs:
            self._since = run.finished_at
            if run.state == "done":
                self.firsts.setdefault(run.task, seconds_since_start())
        # Trouble first: a sample of the rest loses nothing.
        told = sorted(runs, key=lambda run: run.state == "done")[:LINES]
        for run in told:
            self._say(*await self._line(run))
        if len(runs) > len(told):
            self._say("", f"and {len(runs) - len(told)} more")

    async def _line(self, run: sa.Row[Any]) -> tuple[str, str]:
        if run.state == "done" and run.task == MAIL:
            return "mail", f"welcome to {await self._username(run.args['user_id'])}"
        if run.state == "done" and run.task == PHOTO:
            post_id = run.args["post_id"]
            return "photo", f"post {post_id} -> {await self._renditions(post_id)} renditions"
        kind = OTHER_STATES.get(run.state, run.state)
        arguments = ", ".join(f"{name}={value}" for name, value in run.args.items() if name.endswith("_id"))
        return kind, f"{run.task}({arguments}), attempt {run.attempt}" + (f": {run.reason}" if run.reason else "")

    async def _username(self, user_id: int) -> str:
        users = self._backend.users
        async with self._engine.connect() as connection:
            found = await connection.execute(sa.select(users.c.username).where(users.c.id == int(user_id)))
            return found.scalar_one_or_none() or f"user {user_id}"

    async def _renditions(self, post_id: int) -> int:
        async with self._engine.connect() as connection:
            return int((await connection.execute(up_sql.RENDITIONS_OF, {"post_id": str(post_id)})).scalar_one())
