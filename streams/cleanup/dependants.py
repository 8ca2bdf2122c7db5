"""What goes with a row that is deleted: the rows that refer to it, and those that refer to them."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.backend import BackendTables
from streams.cleanup.foreign_keys import CASCADE, ForeignKey, Relation, quoted, read_foreign_keys, relation_of
from streams.cleanup.table_columns import Columns, read_columns

# Rows by their places, which hold while they are locked; partitions of one table may have the same places.
DELETE = """
    DELETE FROM {table}
     WHERE ctid = ANY(CAST(CAST(:places AS text[]) AS tid[]))
       AND (tableoid, ctid) IN (
               SELECT part, place FROM unnest(CAST(CAST(:parts AS bigint[]) AS oid[]),
                                              CAST(CAST(:places AS text[]) AS tid[])) AS these (part, place))
"""


@dataclass(frozen=True)
class Reference:
    """How rows of ``child`` name rows of ``parent``. ``goes_along``: they are taken along, else they keep the parent.
    ``also``: a further condition on the child, of generic relations.
    """

    child: Relation
    columns: tuple[str, ...]
    parent: Relation
    parent_columns: tuple[str, ...]
    goes_along: bool
    also: str = "true"


@dataclass
class Taken:
    """One row that goes: ``place`` is where it is in its table, ``row`` its columns as texts."""

    root: str
    place: tuple[int, str]
    row: dict[str, str | None]


@dataclass
class Harvest:
    """Rows by table, and of roots that have to stay, by what keeps them."""

    rows: dict[Relation, list[Taken]] = field(default_factory=lambda: defaultdict(list))
    kept: dict[str, Relation] = field(default_factory=dict)

    def of(self, root: str, order: Iterable[Relation]) -> list[dict[str, Any]]:
        """The rows of one root as the recycle bin has them, in this order of tables."""
        found = ((table, [taken.row for taken in self.rows[table] if taken.root == root]) for table in order)
        return [{"schema": table.schema, "table": table.name, "rows": rows} for table, rows in found if rows]


@dataclass(frozen=True)
class Dependants:
    """The database's foreign keys and the generic relations, as rules for a delete of posts."""

    references: Sequence[Reference]
    columns: Columns
    posts: Relation
    key: str

    async def collect(self, connection: AsyncConnection, roots: Sequence[str]) -> Harvest:
        """All rows that go with these posts, the posts themselves included, locked."""
        harvest, seen = Harvest(), set[tuple[int, str]]()
        mine = Reference(self.posts, (self.key,), self.posts, (self.key,), goes_along=True)
        newest = {self.posts: await self._find(connection, mine, [(root, (root,)) for root in roots])}
        while newest:
            following: dict[Relation, list[Taken]] = defaultdict(list)
            for table, rows in newest.items():
                fresh = list({taken.place: taken for taken in rows if taken.place not in seen}.values())
                seen |= {taken.place for taken in fresh}
                harvest.rows[table] += fresh
                for reference in self._to(table):
                    await self._follow(connection, reference, fresh, harvest, following)
            newest = {table: rows for table, rows in following.items() if rows}
        for table, rows in harvest.rows.items():
            harvest.rows[table] = [taken for taken in rows if taken.root not in harvest.kept]
        return harvest

    async def _follow(
        self,
        connection: AsyncConnection,
        reference: Reference,
        parents: Sequence[Taken],
        harvest: Harvest,
        following: dict[Relation, list[Taken]],
    ) -> None:
        """What refers to these rows goes along, or keeps their roots."""
        named = [(taken.root, tuple(taken.row[name] for name in reference.parent_columns)) for taken in parents]
        found = await self._find(connection, reference, [(root, value) for root, value in named if None not in value])
        own = {taken.place for taken in parents}
        if reference.goes_along:
            following[reference.child] += found
        else:
            harvest.kept.update({taken.root: reference.child for taken in found if taken.place not in own})

    def _to(self, table: Relation) -> list[Reference]:
        return [reference for reference in self.references if reference.parent == table]

    async def _find(
        self, connection: AsyncConnection, reference: Reference, parents: Sequence[tuple[str, tuple[Any, ...]]]
    ) -> list[Taken]:
        """Rows of the child that name these parents."""
        if not parents:
            return []
        types = self.columns.types[reference.child]
        wanted = [f"v{number}" for number, _ in enumerate(reference.columns)]
        arrays = ", ".join(f"CAST(:{name} AS text[])" for name in (*wanted, "roots"))
        same = " AND ".join(
            f"child.{quoted(column)} = CAST(wanted.{name} AS {types[column]})"
            for column, name in zip(reference.columns, wanted, strict=True)
        )
        query = sa.text(
            f"SELECT wanted.root, child.tableoid::bigint AS part, child.ctid::text AS place, "  # noqa: S608
            f"{self.columns.as_texts(reference.child, 'child')} AS row "
            f"FROM unnest({arrays}) AS wanted ({', '.join(wanted)}, root) "
            f"JOIN {reference.child.sql} AS child ON {same} AND {reference.also}"
            f"{' FOR UPDATE OF child' if reference.goes_along else ''}"
        ).columns(row=JSONB)
        values = {name: [value[place] for _, value in parents] for place, name in enumerate(wanted)}
        rows = await connection.execute(query, {**values, "roots": [root for root, _ in parents]})
        return [Taken(row.root, (row.part, row.place), row.row) for row in rows]

    def order(self, tables: Collection[Relation]) -> list[Relation]:
        """These tables, each after those that it refers to, as far as they do not refer to each other in a circle."""
        graph: dict[Relation, set[Relation]] = {table: set() for table in sorted(tables)}
        for reference in self.references:
            if reference.child in graph and reference.parent in graph and reference.child != reference.parent:
                graph[reference.child].add(reference.parent)
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError:  # then only keys that are checked at COMMIT work, as Django's do
            return sorted(graph)

    async def delete(self, connection: AsyncConnection, harvest: Harvest) -> Counter[str]:
        """The rows that were collected, those that refer to others first; how many of each table."""
        counts: Counter[str] = Counter()
        for table in reversed(self.order(harvest.rows)):
            if rows := harvest.rows[table]:
                statement = sa.text(DELETE.format(table=table.sql))
                places = {"parts": [r.place[0] for r in rows], "places": [r.place[1] for r in rows]}
                counts[str(table)] += (await connection.execute(statement, places)).rowcount
        return counts


async def read_dependants(
    connection: AsyncConnection, backend: BackendTables, post_type: int, take_along: Iterable[str]
) -> Dependants:
    """As the database has it now. ``take_along`` names tables that Tailrace does not know and that may go, too."""
    posts, may_go = relation_of(backend.posts), _may_go(backend, take_along)
    references = [
        Reference(each.child, each.columns, each.parent, each.parent_columns, _goes_along(each, backend, may_go))
        for each in await read_foreign_keys(connection)
    ]
    key = str(backend.posts.c.id.name)
    generic = [_generic(table, posts, key, post_type) for table in _about_anything(backend)]
    tables = {posts, *(each.child for each in references), *(each.child for each in generic)}
    columns = await read_columns(connection, tables)
    there = [each for each in (*references, *generic) if {*each.columns} <= {*columns.types.get(each.child, ())}]
    return Dependants(there, columns, posts, key)


def tables_that_go(keys: Iterable[ForeignKey], backend: BackendTables, take_along: Iterable[str]) -> set[Relation]:
    """Posts, and every table of which a row may go along with a post. Not each of them need be there."""
    may_go, known = _may_go(backend, take_along), list(keys)
    newest = {relation_of(table) for table in (backend.posts, *_about_anything(backend))}
    reached: set[Relation] = set()
    while newest:
        reached |= newest
        newest = {key.child for key in known if key.parent in newest and _goes_along(key, backend, may_go)} - reached
    return reached


def _may_go(backend: BackendTables, take_along: Iterable[str]) -> set[Relation]:
    known = (backend.comments, backend.post_hashtags, backend.shares, backend.bookmarks, *_about_anything(backend))
    return {*map(relation_of, known), *(_named(name, str(backend.posts.schema)) for name in take_along)}


def _about_anything(backend: BackendTables) -> tuple[sa.Table, ...]:
    """Tables whose rows may be about a row of any table."""
    return backend.likes, backend.notifications, backend.reports


def _goes_along(key: ForeignKey, backend: BackendTables, may_go: Collection[Relation]) -> bool:
    never = (relation_of(backend.posts), relation_of(backend.users))
    return key.child not in never and (key.child in may_go or key.on_delete == CASCADE)


def _generic(table: sa.Table, posts: Relation, key: str, post_type: int) -> Reference:
    kind = f"child.{quoted(str(table.c.content_type_id.name))} = {int(post_type)}"
    return Reference(relation_of(table), (str(table.c.object_id.name),), posts, (key,), goes_along=True, also=kind)


def _named(name: str, schema: str) -> Relation:
    before, dot, after = name.partition(".")
    return Relation(before, after) if dot else Relation(schema, name)
