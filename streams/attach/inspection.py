"""Whether a database can be attached to: its tables and columns against the mapping, and our rights on them."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import asyncpg

from schemas.backend import BackendTables
from streams.attach.event_sql import Columns, quoted, quoted_table
from streams.backend_presence import backend_of
from streams.setting_groups import Backend

OLDEST_SERVER = 140000
"""CREATE OR REPLACE TRIGGER came with PostgreSQL 14."""

REQUIRED = {
    "users": ("id", "email", "username", "date_joined"),
    "posts": ("id", "author_id", "visibility", "created_at"),
}
OPTIONAL = {
    "users": ("first_name", "locale", "time_zone"),
    "posts": ("content", "image", "video"),
    "post_hashtags": ("id", "post_id", "hashtag_id", "created_at"),
    "hashtags": ("id", "name"),
}
TAGS = ("post_hashtags", "hashtags")
READ_BY_TRIGGERS = ("posts", "hashtags")
"""The trigger on `post_hashtags` looks up the post and the tag."""

COLUMNS = """
    SELECT class.relname AS table, class.relkind::text AS kind, attribute.attname AS column,
           format_type(attribute.atttypid, NULL) AS type
      FROM pg_catalog.pg_class AS class
      JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = class.oid
     WHERE class.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1)
       AND class.relkind IN ('r', 'p', 'v', 'm', 'f') AND class.relname = ANY($2::text[])
       AND attribute.attnum > 0 AND NOT attribute.attisdropped
"""

# What this role may do: on the database, on our schema where there is one, on the backend's.
RIGHTS = """
    SELECT current_user::text AS role, current_database()::text AS database,
           current_setting('server_version_num')::int AS server,
           to_regnamespace('tailrace') IS NOT NULL AS has_schema,
           has_database_privilege(current_database(), 'CREATE') AS may_create,
           coalesce(has_schema_privilege(to_regnamespace('tailrace')::oid, 'CREATE'), false) AS may_change,
           to_regnamespace($1) IS NOT NULL AS has_backend,
           coalesce(has_schema_privilege(to_regnamespace($1)::oid, 'USAGE'), false) AS may_use
"""

# Whether this role has a right on a table.
MAY = "SELECT has_table_privilege($1, $2)"


@dataclass(frozen=True)
class Findings:
    """``problems`` keep us from attaching; ``notes`` say what goes without; ``grants`` are what our role lacks."""

    columns: Columns
    role: str
    has_schema: bool
    problems: list[str]
    notes: list[str]
    grants: list[str]


async def inspect(connection: asyncpg.Connection, settings: Backend, *, reads: tuple[str, ...] = ()) -> Findings:
    """What is there now. ``reads``: tables that we are going to read, too."""
    backend = backend_of(settings)
    (rights,) = await connection.fetch(RIGHTS, quoted(settings.db_schema))
    columns, kinds = await _columns(connection, backend)
    problems = [*_server_problem(rights["server"]), *_missing(columns, kinds, settings.db_schema)]
    problems += _views(kinds)
    grants = [*_schema_grants(rights, settings.db_schema)]
    if rights["may_use"]:
        grants += [grant async for grant in _table_grants(connection, columns, kinds, rights["role"], reads)]
    notes = [*_notes(columns, kinds)]
    return Findings(columns, rights["role"], rights["has_schema"], problems, notes, grants)


async def _columns(connection: asyncpg.Connection, backend: BackendTables) -> tuple[Columns, dict[str, str]]:
    """The columns, and of each table that is there its kind, by logical names."""
    logical = {getattr(backend, name).name: name for name in (*REQUIRED, *TAGS)}
    types: dict[tuple[str, str], str] = {}
    kinds: dict[str, str] = {}
    for row in await connection.fetch(COLUMNS, backend.metadata.schema, list(logical)):
        table = logical[row["table"]]
        kinds[table] = row["kind"]
        types[table, row["column"]] = row["type"]
    wanted = {f"{table}.{name}" for names in (REQUIRED, OPTIONAL) for table in names for name in names[table]}
    known = Columns(backend, {})
    found = {}
    for name in wanted:
        table = name.partition(".")[0]
        kind = types.get((table, _real(known, name)))
        if kind is not None:
            found[name] = kind
    return Columns(backend, found), kinds


def _real(columns: Columns, logical: str) -> str:
    table, _, name = logical.partition(".")
    optional = columns.backend.optional.get(logical)
    return str(getattr(columns.backend, table).c[name].name if optional is None else optional.name)


def _server_problem(version: int) -> Iterator[str]:
    if version < OLDEST_SERVER:
        yield f"PostgreSQL {version // 10000} is too old: triggers are replaced in one statement since 14"


def _missing(columns: Columns, kinds: dict[str, str], schema: str) -> Iterator[str]:
    for table, names in REQUIRED.items():
        real = getattr(columns.backend, table).name
        if table not in kinds:
            yield (
                f"there is no table {real!r} in the schema {schema!r}: name the backend's table in "
                f'TAILRACE_BACKEND__TABLES=\'{{"{table}": "..."}}\', or its schema in TAILRACE_BACKEND__DB_SCHEMA'
            )
            continue
        for name in names:
            if not columns.has(f"{table}.{name}"):
                yield (
                    f"the table {real!r} has no column {_real(columns, f'{table}.{name}')!r}: name the backend's "
                    f'column in TAILRACE_BACKEND__COLUMNS=\'{{"{table}.{name}": "..."}}\''
                )


def _views(kinds: dict[str, str]) -> Iterator[str]:
    for table, kind in kinds.items():
        if kind not in ("r", "p") and (table in REQUIRED or table == "post_hashtags"):
            yield f"{table} is a view or a foreign table; map the table behind it in TAILRACE_BACKEND__TABLES"


def _notes(columns: Columns, kinds: dict[str, str]) -> Iterator[str]:
    for table in TAGS:
        if table not in kinds:
            real = getattr(columns.backend, table).name
            yield f"no table {real!r} (TAILRACE_BACKEND__TABLES): post.tagged is not said, tags are not counted"
        else:
            names = [name for name in OPTIONAL[table] if name not in ("id", "created_at")]
            for name in names:
                if not columns.has(f"{table}.{name}"):
                    yield (
                        f"no column {table}.{name} (TAILRACE_BACKEND__COLUMNS): post.tagged is not said, "
                        "tags are not counted"
                    )
    if not (columns.has("posts.image") or columns.has("posts.video")):
        yield "no column posts.image or posts.video (TAILRACE_BACKEND__COLUMNS): no media are processed"


def _schema_grants(rights: asyncpg.Record, schema: str) -> Iterator[str]:
    role = quoted(rights["role"])
    if not rights["has_schema"] and not rights["may_create"]:
        yield f"GRANT CREATE ON DATABASE {quoted(rights['database'])} TO {role};"
    if rights["has_schema"] and not rights["may_change"]:
        yield f"GRANT USAGE, CREATE ON SCHEMA tailrace TO {role};"
    if rights["has_backend"] and not rights["may_use"]:
        yield f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {role};"


async def _table_grants(
    connection: asyncpg.Connection, columns: Columns, kinds: dict[str, str], role: str, reads: tuple[str, ...]
) -> AsyncIterator[str]:
    for table in kinds:
        name = quoted_table(getattr(columns.backend, table))
        needed = ["TRIGGER"] if table != "hashtags" else []
        if table in reads or (table in READ_BY_TRIGGERS and set(TAGS) <= set(kinds)):
            needed.append("SELECT")
        lacking = [right for right in needed if not await connection.fetchval(MAY, name, right)]
        if lacking:
            yield f"GRANT {', '.join(lacking)} ON {name} TO {quoted(role)};"
