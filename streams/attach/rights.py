"""The least rights on the backend's tables with which every task works, found in the database as it is now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.backend import BackendTables
from streams.backend_presence import Presence, look_at
from streams.cleanup.dependants import tables_that_go
from streams.cleanup.foreign_keys import ForeignKey, Relation, read_foreign_keys, relation_of
from streams.cleanup.table_columns import read_columns

READ_OF_USERS = (
    *("id", "email", "username", "first_name", "last_name", "date_joined", "last_login", "is_active"),
    *("followers_count", "following_count", "posts_count"),
)
"""No password, and nothing else that no task asks for."""

READ_WHERE_THERE = ("users.locale", "users.time_zone")
FILLED = ("users.followers_count", "users.following_count", "users.posts_count")
FILLED_WHERE_THERE = ("posts.engagement_score", "hashtags.is_trending", "hashtags.trending_score")

# Sequences that an insert into this table draws from; those of identity columns need no right.
SEQUENCES = sa.text("""
    SELECT DISTINCT namespace.nspname AS schema, sequence.relname AS name
      FROM pg_catalog.pg_attrdef AS filled
      JOIN pg_catalog.pg_class AS class ON class.oid = filled.adrelid
      JOIN pg_catalog.pg_namespace AS of_class ON of_class.oid = class.relnamespace
      JOIN pg_catalog.pg_depend AS dependency
        ON dependency.classid = CAST('pg_catalog.pg_attrdef' AS regclass) AND dependency.objid = filled.oid
       AND dependency.refclassid = CAST('pg_catalog.pg_class' AS regclass)
      JOIN pg_catalog.pg_class AS sequence ON sequence.oid = dependency.refobjid AND sequence.relkind = 'S'
      JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = sequence.relnamespace
     WHERE of_class.nspname = :schema AND class.relname = :table
     ORDER BY 1, 2
""")


@dataclass
class Rights:
    """Of each table the rights, each with the columns that it is for; without any it is for the whole table."""

    tables: dict[Relation, dict[str, set[str]]] = field(default_factory=dict)
    sequences: list[Relation] = field(default_factory=list)

    def add(self, table: Relation, right: str, *columns: str) -> None:
        known = self.tables.setdefault(table, {})
        if not columns or known.get(right) == set():
            known[right] = set()
        else:
            known.setdefault(right, set()).update(columns)

    def has(self, table: Relation, right: str) -> bool:
        """On the table, or on some of its columns, which suffices to lock a row."""
        return right in self.tables.get(table, {})


async def needed_rights(connection: AsyncConnection, backend: BackendTables, take_along: Iterable[str]) -> Rights:
    """What all tasks need, with the tables in ``take_along`` whose rows may go with a post."""
    presence, keys = await look_at(connection, backend), await read_foreign_keys(connection)
    rights = Rights()
    _reading(rights, presence)
    _filling(rights, presence)
    cleaned = map(relation_of, (backend.sessions, backend.outstanding_tokens, backend.refresh_tokens))
    with_posts = tables_that_go(keys, backend, take_along)
    columns = (await read_columns(connection, {*cleaned, *with_posts})).types
    _deleting(rights, columns, keys)
    _restoring(rights, [table for table in with_posts if table in columns], keys, relation_of(backend.users))
    if presence.has(backend.blacklisted_tokens):
        rights.add(relation_of(backend.blacklisted_tokens), "DELETE")
    told = {"schema": backend.notifications.schema, "table": backend.notifications.name}
    rights.sequences = [Relation(row.schema, row.name) for row in await connection.execute(SEQUENCES, told)]
    return rights


def _reading(rights: Rights, presence: Presence) -> None:
    users = presence.backend.users
    for table in presence.backend.metadata.tables.values():
        if table is not users and presence.has(table):
            rights.add(relation_of(table), "SELECT")
    if presence.has(users):
        absent = presence.missing_columns(users)
        names = [str(users.c[name].name) for name in READ_OF_USERS if name not in absent]
        optional = [column for name in READ_WHERE_THERE if (column := presence.optional(name)) is not None]
        rights.add(relation_of(users), "SELECT", *names, *(str(column.name) for column in optional))


def _filling(rights: Rights, presence: Presence) -> None:
    for name in FILLED:
        users = presence.backend.users
        key = name.partition(".")[2]
        if key not in presence.missing_columns(users):
            rights.add(relation_of(users), "UPDATE", str(users.c[key].name))
    for name in FILLED_WHERE_THERE:
        column = presence.optional(name)
        if column is not None:
            table: sa.Table = getattr(presence.backend, name.partition(".")[0])
            rights.add(relation_of(table), "UPDATE", str(column.name))


def _deleting(rights: Rights, columns: Mapping[Relation, Mapping[str, str]], keys: Sequence[ForeignKey]) -> None:
    """Rows are locked first, which needs the right to change some column, and what refers to one is looked for."""
    for table, names in columns.items():
        rights.add(table, "DELETE")
        if not rights.has(table, "UPDATE"):
            rights.add(table, "UPDATE", next(iter(names)))
    for key in keys:
        if key.parent in columns:
            rights.add(key.child, "SELECT")


def _restoring(rights: Rights, tables: Iterable[Relation], keys: Sequence[ForeignKey], users: Relation) -> None:
    """Rows that went with a post come back with it, if what they refer to is there."""
    for table in tables:
        rights.add(table, "INSERT")
        for key in keys:
            if key.child == table and key.parent != users:
                rights.add(key.parent, "SELECT")
