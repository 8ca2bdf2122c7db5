"""What of the backend's tables and columns is there: not every backend has all of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.backend import BackendTables, backend_tables
from streams.setting_groups import Backend

# By the catalogue, which tells of tables that the role has no rights on, too.
COLUMNS = sa.text("""
    SELECT class.relname AS table, attribute.attname AS column
      FROM pg_catalog.pg_class AS class
      JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
      JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = class.oid
     WHERE namespace.nspname = :schema AND class.relkind IN ('r', 'p', 'v', 'm', 'f')
       AND class.relname = ANY(CAST(:tables AS text[])) AND attribute.attnum > 0 AND NOT attribute.attisdropped
""")


def backend_of(settings: Backend) -> BackendTables:
    """The backend's tables under the names that the settings give them."""
    return backend_tables(settings.db_schema, settings.tables, settings.columns, settings.keys)


@dataclass(frozen=True)
class Presence:
    """Which tables and columns there were when we looked."""

    backend: BackendTables
    _columns: Mapping[str, frozenset[str]]

    def has(self, *tables: sa.Table) -> bool:
        """Whether all of these tables exist."""
        return all(table.name in self._columns for table in tables)

    def optional(self, name: str) -> "sa.ColumnClause[object] | None":
        """The column of ``BackendTables.optional`` with this logical name, or None where the backend lacks it."""
        table = getattr(self.backend, name.partition(".")[0])
        column = self.backend.optional[name]
        return column if column.name in self._columns.get(table.name, ()) else None

    def missing_columns(self, table: sa.Table) -> list[str]:
        """The logical names of the table's columns that it lacks; all of them where it does not exist."""
        there = self._columns.get(table.name, frozenset())
        return [column.key for column in table.columns if column.name not in there]


async def look_at(connection: AsyncConnection, backend: BackendTables) -> Presence:
    """What is there now."""
    tables = [table.name for table in backend.metadata.tables.values()]
    found: dict[str, set[str]] = {}
    for row in await connection.execute(COLUMNS, {"schema": backend.metadata.schema, "tables": tables}):
        found.setdefault(row.table, set()).add(row.column)
    return Presence(backend, {table: frozenset(columns) for table, columns in found.items()})
