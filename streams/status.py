"""Whether everything that Tailrace needs can be reached, and how far it is behind."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from streams.database_errors import DATABASE_ERRORS, explain
from streams.db import autocommit, engine_for
from streams.ledger_sql import COUNTS
from streams.migrations import NEWEST
from streams.schema_check import schema_problem, schema_version
from streams.settings import Settings
from streams.status_broker import check_broker
from streams.status_mail import check_mail
from streams.web.overview_sql import OUTBOX

PATIENCE = 6
"""Seconds that each part is given; all are asked at once."""

# What the server calls itself.
SERVER = text("SELECT current_setting('server_version')")


@dataclass(frozen=True)
class Part:
    """What one part said. ``problem`` says what is wrong and what to check; None where it is well."""

    problem: str | None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Status:
    """Every part that was asked."""

    broker: Part
    database: Part
    mail: Part

    @property
    def ok(self) -> bool:
        return not any(part.problem for part in (self.broker, self.database, self.mail))


async def read_status(settings: Settings, patience: float = PATIENCE) -> Status:
    """Ask every part at once; a part that has not answered in ``patience`` seconds is a problem."""
    asked = (check_broker, check_database, check_mail)
    broker, database, mail = await asyncio.gather(*(_part(check, settings, patience) for check in asked))
    return Status(broker, database, mail)


Found = tuple[str | None, dict[str, Any]]
"""A part's problem, and what is known of it."""


async def _part(check: Callable[[Settings], Awaitable[Found]], settings: Settings, patience: float) -> Part:
    asking = asyncio.ensure_future(check(settings))
    await asyncio.wait([asking], timeout=patience)
    if asking.done():
        error = asking.exception()
        return Part(f"failed in a way that nobody expected: {error!r}") if error else Part(*asking.result())
    asking.cancel()
    return Part(f"no answer within {patience:g} s; check that it runs, and what is between here and it")


async def check_database(settings: Settings) -> Found:
    """Version, schema, outbox, and the runs of the last 24 hours by task and state."""
    engine = engine_for(settings.database)
    facts: dict[str, Any] = {}
    try:
        async with autocommit(engine) as connection:
            facts["version"] = (await connection.execute(SERVER)).scalar_one().split()[0]
        newest = facts["newest_schema"] = NEWEST
        facts["schema"] = await schema_version(engine)
        if facts["schema"] is not None:
            async with autocommit(engine) as connection:
                facts["outbox"] = dict((await connection.execute(OUTBOX)).mappings().one())
                runs = await connection.execute(COUNTS, {"since": timedelta(hours=24)})
                facts["runs"] = [dict(row) for row in runs.mappings()]
        return schema_problem(facts["schema"], newest), facts
    except DATABASE_ERRORS as error:
        return explain(error, settings.database), facts
    finally:
        await engine.dispose()
