"""The columns that tables really have, and rows as texts from which PostgreSQL makes the same values again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.cleanup.foreign_keys import Relation, quoted

# What can be inserted, in the table's order, with its type. Generated columns make themselves.
COLUMNS = sa.text("""
    SELECT namespace.nspname AS schema, class.relname AS table, attribute.attname AS name,
           format('%I.%I', type_schema.nspname, type.typname) AS type
      FROM pg_catalog.pg_attribute AS attribute
      JOIN pg_catalog.pg_class AS class ON class.oid = attribute.attrelid
      JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
      JOIN pg_catalog.pg_type AS type ON type.oid = attribute.atttypid
      JOIN pg_catalog.pg_namespace AS type_schema ON type_schema.oid = type.typnamespace
      JOIN unnest(CAST(:schemas AS text[]), CAST(:tables AS text[])) AS wanted (schema, name)
        ON wanted.schema = namespace.nspname AND wanted.name = class.relname
     WHERE class.relkind IN ('r', 'p') AND attribute.attnum > 0 AND NOT attribute.attisdropped
       AND attribute.attgenerated = ''
     ORDER BY attribute.attrelid, attribute.attnum
""")

# Texts are the same whatever the role's or the database's settings are. For the transaction only.
EXACT_TEXTS = sa.text("""
    SELECT set_config('datestyle', 'ISO, MDY', true), set_config('intervalstyle', 'postgres', true),
           set_config('timezone', 'UTC', true), set_config('extra_float_digits', '1', true),
           set_config('bytea_output', 'hex', true)
""")


@dataclass(frozen=True)
class Columns:
    """Of each table the types by column."""

    types: Mapping[Relation, Mapping[str, str]]

    def as_texts(self, table: Relation, alias: str) -> str:
        """An expression: the row as a JSON object of texts."""
        names = self.types[table]
        keys = ", ".join(literal(name) for name in names)
        values = ", ".join(f"{alias}.{quoted(name)}::text" for name in names)
        return f"jsonb_object(ARRAY[{keys}]::text[], ARRAY[{values}]::text[])"

    def from_texts(self, table: Relation, names: Iterable[str], row: str) -> str:
        """Expressions: these columns of a row that is such an object."""
        return ", ".join(f"({row} ->> {literal(name)})::{self.types[table][name]}" for name in names)


async def read_columns(connection: AsyncConnection, tables: Iterable[Relation]) -> Columns:
    """Of these tables, where they exist."""
    wanted = sorted(set(tables))
    names = {"schemas": [table.schema for table in wanted], "tables": [table.name for table in wanted]}
    types: dict[Relation, dict[str, str]] = {}
    for row in await connection.execute(COLUMNS, names):
        types.setdefault(Relation(row.schema, row.table), {})[row.name] = row.type
    return Columns(types)


def literal(text: str) -> str:
    """A text as the text of a statement has it; a colon in it begins no parameter."""
    return "'" + text.replace("'", "''").replace(":", r"\:") + "'"
