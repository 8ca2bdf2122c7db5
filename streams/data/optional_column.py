"""A column that not every backend has, in the type that this one gave it."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import UserDefinedType

from streams.backend_presence import Presence

# The type of one column, as SQL writes it.
TYPE = text("""
    SELECT format_type(attribute.atttypid, attribute.atttypmod)
      FROM pg_catalog.pg_attribute AS attribute
      JOIN pg_catalog.pg_class AS class ON class.oid = attribute.attrelid
      JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
     WHERE namespace.nspname = :schema AND class.relname = :table AND attribute.attname = :column
""")


class OfTheBackend(UserDefinedType[Any]):
    """A type by its name in the database."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: object) -> str:
        return self.name


async def column_as_it_is(engine: AsyncEngine, presence: Presence, name: str) -> "sa.ColumnClause[Any] | None":
    """The optional column with this logical name, e.g. ``posts.engagement_score``, with its real type; None where the
    backend lacks it. A value cast to that type is what the column would keep of it: scores are compared so.
    """
    column = presence.optional(name)
    if column is None:
        return None
    table: sa.Table = getattr(presence.backend, name.partition(".")[0])
    async with engine.connect() as connection:
        asked = {"schema": table.schema, "table": table.name, "column": column.name}
        kind = (await connection.execute(TYPE, asked)).scalar_one()
    return sa.column(column.name, OfTheBackend(kind))
