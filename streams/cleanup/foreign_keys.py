"""The foreign keys that the database really has, those of tables that Tailrace does not know, too.

Django emulates ON DELETE in Python and leaves the database's own keys without it, so whoever deletes rows past
Django has to look for what refers to them.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

# Every foreign key, once: those that partitions inherit are their parent's. Types are of the referenced columns.
FOREIGN_KEYS = sa.text("""
    SELECT child_schema.nspname AS child_schema, child.relname AS child_table,
           parent_schema.nspname AS parent_schema, parent.relname AS parent_table, con.confdeltype AS on_delete,
           ARRAY(SELECT attribute.attname::text
                   FROM unnest(con.conkey) WITH ORDINALITY AS key (number, place)
                   JOIN pg_catalog.pg_attribute AS attribute
                     ON attribute.attrelid = con.conrelid AND attribute.attnum = key.number
                  ORDER BY key.place) AS child_columns,
           ARRAY(SELECT attribute.attname::text
                   FROM unnest(con.confkey) WITH ORDINALITY AS key (number, place)
                   JOIN pg_catalog.pg_attribute AS attribute
                     ON attribute.attrelid = con.confrelid AND attribute.attnum = key.number
                  ORDER BY key.place) AS parent_columns
      FROM pg_catalog.pg_constraint AS con
      JOIN pg_catalog.pg_class AS child ON child.oid = con.conrelid
      JOIN pg_catalog.pg_namespace AS child_schema ON child_schema.oid = child.relnamespace
      JOIN pg_catalog.pg_class AS parent ON parent.oid = con.confrelid
      JOIN pg_catalog.pg_namespace AS parent_schema ON parent_schema.oid = parent.relnamespace
     WHERE con.contype = 'f' AND con.conparentid = 0
     ORDER BY 1, 2, con.conname
""")

NO_ACTION, RESTRICT, CASCADE = "a", "r", "c"
SET_NULL, SET_DEFAULT = "n", "d"


@dataclass(frozen=True, order=True)
class Relation:
    """A table by its real name."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def sql(self) -> str:
        """The name as a statement has it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"


@dataclass(frozen=True)
class ForeignKey:
    """``child (columns)`` refers to ``parent (parent_columns)``; ``on_delete`` is the database's own rule."""

    child: Relation
    columns: tuple[str, ...]
    parent: Relation
    parent_columns: tuple[str, ...]
    on_delete: str

    @property
    def leaves_it_to_others(self) -> bool:
        """Whether a delete of the parent fails while the child is there."""
        return self.on_delete in (NO_ACTION, RESTRICT)


def relation_of(table: sa.Table) -> Relation:
    """The real name of a table of the backend."""
    return Relation(str(table.schema or "public"), str(table.name))


def quoted(name: str) -> str:
    """A name as the text of a statement has it; a colon in it begins no parameter."""
    return '"' + name.replace('"', '""').replace(":", r"\:") + '"'


async def read_foreign_keys(connection: AsyncConnection) -> list[ForeignKey]:
    """All of the database, as of now."""
    return [
        ForeignKey(
            Relation(row.child_schema, row.child_table),
            tuple(row.child_columns),
            Relation(row.parent_schema, row.parent_table),
            tuple(row.parent_columns),
            row.on_delete if isinstance(row.on_delete, str) else row.on_delete.decode(),
        )
        for row in await connection.execute(FOREIGN_KEYS)
    ]


def nothing_refers_to(
    table: sa.Table, keys: Iterable[ForeignKey], *, but: Collection[Relation] = ()
) -> "sa.ColumnElement[bool]":
    """True of rows that the database lets go: nothing refers to them but what it deletes or detaches itself, and
    rows of the tables in ``but``.
    """
    named = relation_of(table)
    blocking = (key for key in keys if key.parent == named and key.leaves_it_to_others and key.child not in but)
    return sa.and_(sa.true(), *(_is_free_of(key) for key in blocking))


def _is_free_of(key: ForeignKey) -> "sa.TextClause":
    pairs = zip(key.columns, key.parent_columns, strict=True)
    same = " AND ".join(f"referring.{quoted(own)} = {key.parent.sql}.{quoted(other)}" for own, other in pairs)
    return sa.text(f"NOT EXISTS (SELECT 1 FROM {key.child.sql} AS referring WHERE {same})")  # noqa: S608 - quoted names
