"""``schemas.tables``, which tells readers of our tables what is in them, is what the migrations make."""

from importlib import import_module
from pkgutil import iter_modules

from sqlalchemy import Connection, inspect
from sqlalchemy.ext.asyncio import AsyncEngine

import schemas
from schemas.tables import metadata

Columns = dict[str, dict[str, tuple[str, bool]]]


def _written_down() -> Columns:
    """Of every module of ``schemas``: tables of one field may have a module of their own."""
    for module in iter_modules(schemas.__path__):
        import_module(f"schemas.{module.name}")
    return {
        table.name: {column.name: (_kind(column.type), bool(column.nullable)) for column in table.columns}
        for table in metadata.tables.values()
    }


def _in_the_database(connection: Connection) -> Columns:
    inspector = inspect(connection)
    return {
        table: {
            column["name"]: (_kind(column["type"]), bool(column["nullable"]))
            for column in inspector.get_columns(table, schema="tailrace")
        }
        for table in inspector.get_table_names(schema="tailrace")
        if table != "schema_version" and not table.startswith("task_runs_")
    }


def _kind(column_type: object) -> str:
    aliases = {"LargeBinary": "BYTEA", "Text": "TEXT", "Integer": "INTEGER", "Boolean": "BOOLEAN"}
    aliases |= {"BigInteger": "BIGINT", "SmallInteger": "SMALLINT"}
    name = type(column_type).__name__
    return aliases.get(name, name)


async def test_tables_as_written_down_are_those_that_the_migrations_make(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        found = await connection.run_sync(_in_the_database)

    assert found == _written_down()
