"""How the backend's tables get their real names, and columns of the kinds that Django makes."""

import difflib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import sqlalchemy as sa

Timestamp = sa.TIMESTAMP(timezone=True)


class Naming:
    """Gives tables and columns their real names and remembers which logical names there are."""

    def __init__(
        self, schema: str, tables: Mapping[str, str], columns: Mapping[str, str], keys: Literal["bigint", "uuid"]
    ) -> None:
        self.metadata = sa.MetaData(schema=schema)
        self.keys = keys
        self.optional: dict[str, sa.ColumnClause[Any]] = {}
        self._tables, self._columns = tables, columns
        self._known_tables: set[str] = set()
        self._known_columns: set[str] = set()

    def table(self, name: str, *parts: "sa.Column[Any] | sa.UniqueConstraint") -> sa.Table:
        """A table; the names that its columns have now become their keys."""
        self._known_tables.add(name)
        for part in parts:
            if isinstance(part, sa.Column):
                logical = f"{name}.{part.name}"
                self._known_columns.add(logical)
                part.name = sa.sql.quoted_name(self._columns.get(logical, part.name), None)
        return sa.Table(self._tables.get(name, name), self.metadata, *parts)

    def may_have(self, table: str, name: str, kind: Any) -> None:
        """A column that not every backend has: it is in no table here, and is asked for by its logical name."""
        logical = f"{table}.{name}"
        self._known_columns.add(logical)
        self.optional[logical] = sa.column(str(self._columns.get(logical, name)), kind)

    def refuse_unknown(self) -> None:
        _refuse("TAILRACE_BACKEND__TABLES", "table", self._tables, self._known_tables)
        _refuse("TAILRACE_BACKEND__COLUMNS", "column", self._columns, self._known_columns)


def _refuse(setting: str, kind: str, given: Iterable[str], known: set[str]) -> None:
    for name in given:
        if name not in known:
            nearest = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0)[0]
            raise ValueError(f"{setting}: the backend has no {kind} {name!r}; the nearest is {nearest!r}")


def column(name: str, kind: Any, *, nullable: bool = False, default: Any = None) -> "sa.Column[Any]":
    """A column. ``default`` is filled in by our inserts: Django keeps no defaults in the database."""
    return sa.Column(name, kind, key=name, nullable=nullable, default=default)


def key_column(named: Naming) -> "sa.Column[Any]":
    """The primary key of a thing that others name: a number that the database counts, or a UUID that Django makes."""
    if named.keys == "uuid":
        return sa.Column("id", sa.Uuid(), key="id", primary_key=True, default=uuid.uuid4)
    return counted_key(sa.BigInteger)


def counted_key(kind: Any) -> "sa.Column[Any]":
    """A number that the database counts, whatever the keys of the backend's own tables are."""
    return sa.Column("id", kind, sa.Identity(), key="id", primary_key=True)


def object_key(named: Naming, *, nullable: bool = False) -> "sa.Column[Any]":
    """The other end of a generic relation, which names a row of any table."""
    return column("object_id", sa.Uuid() if named.keys == "uuid" else sa.Integer, nullable=nullable)


def texts(length: int | None, *names: str) -> "Iterator[sa.Column[Any]]":
    for name in names:
        yield column(name, sa.String(length) if length else sa.Text(), default="")


def counts(*names: str) -> "Iterator[sa.Column[Any]]":
    for name in names:
        yield column(name, sa.Integer, default=0)


def flags(*names: str) -> "Iterator[sa.Column[Any]]":
    for name in names:
        yield column(name, sa.Boolean, default=name == "is_active")


def instants(*names: str) -> "Iterator[sa.Column[Any]]":
    for name in names:
        yield column(name, Timestamp, default=sa.func.now())


def reference(name: str, to: sa.Table, *, nullable: bool = False) -> "sa.Column[Any]":
    """A foreign key as Django makes it: checked at commit, without ON DELETE."""
    key = sa.ForeignKey(to.c.id, deferrable=True, initially="DEFERRED")
    return sa.Column(name, to.c.id.type, key, key=name, nullable=nullable, index=True)


def pair(named: Naming, table: str, **ends: sa.Table) -> sa.Table:
    """A relation that holds once for each pair."""
    references = [reference(name, to) for name, to in ends.items()]
    return named.table(table, key_column(named), *instants("created_at"), *references, sa.UniqueConstraint(*ends))
