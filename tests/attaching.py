"""A backend that is attached, and rows as it writes them."""

import json
from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from schemas.backend import BackendTables
from streams.attach.attaching import attach, look
from streams.publisher import parse_fact
from streams.setting_groups import Backend

EVENTS = "SELECT * FROM tailrace.outbox ORDER BY id"


async def attach_to(connection: asyncpg.Connection, url: str, backend: Backend | None = None) -> list[str]:
    """As `tailrace attach --yes` does it; what it said."""
    told: list[str] = []
    attachment = await look(connection, backend or Backend(), None, ())
    await attach(connection, url, attachment, told.append)
    return told


async def insert(connection: asyncpg.Connection, table: sa.Table, *rows: dict[str, Any]) -> None:
    """In one statement, with the defaults that Django would fill in."""
    statement = sa.insert(table).values([{**_filled(table), **row} for row in rows])
    dialect: Any = postgresql.dialect
    compiled = statement.compile(dialect=dialect(), compile_kwargs={"literal_binds": True})
    await connection.execute(str(compiled))


def _filled(table: sa.Table) -> dict[str, Any]:
    defaults: dict[str, Any] = {column.key: column.default for column in table.columns if not column.primary_key}
    return {key: default.arg for key, default in defaults.items() if default is not None}


async def add_user(connection: asyncpg.Connection, backend: BackendTables, **values: Any) -> None:
    name = values.get("username", "ada")
    await insert(connection, backend.users, {"username": name, "email": f"{name}@example.org", **values})


async def said(connection: asyncpg.Connection) -> list[tuple[str, Any]]:
    """Id and event of each row that is to be published, as a worker would read it."""
    found = []
    for row in await connection.fetch(EVENTS):
        if row["state"] == "pending":
            fact = parse_fact(row["topic"], row["payload"])
            headers = dict(json.loads(row["headers"]))
            assert headers["ce_id"] == fact.natural_id
            assert row["key"].decode() == str(fact.key)
            assert row["occurred_at"] == fact.occurred_at
            assert msgspec.convert(headers["ce_time"], type(fact.occurred_at)) == fact.occurred_at
            found.append((headers["ce_id"], fact))
    return found


async def ids(connection: asyncpg.Connection) -> list[str]:
    return [event_id for event_id, _ in await said(connection)]


async def set_aside(connection: asyncpg.Connection) -> Sequence[asyncpg.Record]:
    return [row for row in await connection.fetch(EVENTS) if row["state"] == "set_aside"]
