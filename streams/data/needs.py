"""What of the backend's tables a task needs, and what a person can do where it is not there."""

import dataclasses

import sqlalchemy as sa

from schemas.backend import BackendTables
from streams.backend_presence import Presence, look_at
from streams.task import Context

DJANGOS = {"content_types": "django_content_type"}
"""Where the settings' name of a table is not that of its field."""


async def look(ctx: Context) -> Presence:
    """What of the backend is there now."""
    async with ctx.engine.connect() as connection:
        return await look_at(connection, ctx.backend)


def problem(presence: Presence, *needed: "sa.Column[object]") -> str | None:
    """Why a task that needs these columns cannot work, with the setting that may mend it; None where all are there."""
    for table in dict.fromkeys(column.table for column in needed):
        assert isinstance(table, sa.Table)
        if not presence.has(table):
            return _no_table(presence.backend, table)
        missing = set(presence.missing_columns(table))
        for column in needed:
            if column.table is table and column.key in missing:
                return _no_column(presence.backend, table, column)
    return None


def absent(presence: Presence, *tables: sa.Table) -> list[str]:
    """The names of those tables that this backend does not have."""
    return [str(table.name) for table in tables if not presence.has(table)]


def _no_table(backend: BackendTables, table: sa.Table) -> str:
    name = _logical(backend, table)
    return (
        f"the backend has no table {table.fullname}: name it in TAILRACE_BACKEND__TABLES, "
        f'e.g. {{"{name}": "app_{name}"}}, or its schema in TAILRACE_BACKEND__DB_SCHEMA'
    )


def _no_column(backend: BackendTables, table: sa.Table, column: "sa.Column[object]") -> str:
    logical = f"{_logical(backend, table)}.{column.key}"
    return (
        f"the backend's table {table.fullname} has no column {column.name}: name it in TAILRACE_BACKEND__COLUMNS, "
        f'e.g. {{"{logical}": "other_{column.key}"}}'
    )


def _logical(backend: BackendTables, table: sa.Table) -> str:
    """What the settings call the table."""
    field = next(field.name for field in dataclasses.fields(backend) if getattr(backend, field.name) is table)
    return DJANGOS.get(field, field)
