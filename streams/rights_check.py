"""Whether the role of a worker may do what its tasks will ask of it: told when it starts, and not by each run."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.attach.grants import on_the_backend
from streams.attach.rights import Rights, needed_rights
from streams.backend_presence import backend_of
from streams.settings import Settings

# Our own tables in which this role may not work, and the role.
CLOSED = text("""
    SELECT current_user::text AS role, string_agg(class.relname, ', ' ORDER BY class.relname) AS tables
      FROM pg_catalog.pg_class AS class
      JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
     WHERE namespace.nspname = 'tailrace' AND class.relkind IN ('r', 'p') AND NOT class.relispartition
       AND class.relname <> 'schema_version'
       AND NOT (has_table_privilege(class.oid, 'SELECT') AND has_table_privilege(class.oid, 'INSERT')
                AND has_table_privilege(class.oid, 'UPDATE') AND has_table_privilege(class.oid, 'DELETE'))
""")

# Which of these rights this role lacks; without a column it is one on the whole of a table or sequence.
LACKING = text("""
    SELECT want.n
      FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[]), CAST(:rights AS text[]), CAST(:columns AS text[]))
           WITH ORDINALITY AS want (schema, name, "right", "column", n)
      JOIN pg_catalog.pg_namespace AS namespace ON namespace.nspname = want.schema
      JOIN pg_catalog.pg_class AS class ON class.relnamespace = namespace.oid AND class.relname = want.name
     WHERE NOT (has_schema_privilege(namespace.oid, 'USAGE')
                AND CASE WHEN class.relkind = 'S' THEN has_sequence_privilege(class.oid, want."right")
                         WHEN want."column" IS NULL THEN has_table_privilege(class.oid, want."right")
                         ELSE has_column_privilege(class.oid, want."column", want."right") END)
     ORDER BY want.n
""")


async def closed_to_us(engine: AsyncEngine) -> str | None:
    """Why a worker cannot work in the schema ``tailrace``, and what to do; None where it can."""
    async with engine.connect() as connection:
        found = (await connection.execute(CLOSED)).one()
    if found.tables is None:
        return None
    return (
        f"the role {found.role} may not work in all of the schema `tailrace` ({found.tables}); "
        f"run `tailrace attach --worker-role {found.role}` as its owner"
    )


async def missing_grants(engine: AsyncEngine, settings: Settings) -> list[str]:
    """GRANTs on the backend's tables without which some task would fail, for their owner to run."""
    backend = backend_of(settings.backend)
    async with engine.connect() as connection:
        needed = await needed_rights(connection, backend, settings.cleanup.tables_taken_along)
        lacking = await _lacking(connection, needed)
        role = (await connection.execute(text("SELECT current_user::text"))).scalar_one()
    if not (lacking.tables or lacking.sequences):
        return []
    return list(on_the_backend(role, settings.backend.db_schema, lacking))


async def _lacking(connection: AsyncConnection, needed: Rights) -> Rights:
    asked = [
        (table, right, column)
        for table, rights in needed.tables.items()
        for right, columns in rights.items()
        for column in columns or [None]
    ]
    asked += [(sequence, "USAGE", None) for sequence in needed.sequences]
    columns = {
        "schemas": [table.schema for table, _, _ in asked],
        "names": [table.name for table, _, _ in asked],
        "rights": [right for _, right, _ in asked],
        "columns": [column for _, _, column in asked],
    }
    lacking = Rights()
    for row in await connection.execute(LACKING, columns):
        table, right, column = asked[row.n - 1]
        if table in needed.sequences:
            lacking.sequences.append(table)
        else:
            lacking.add(table, right, *([column] if column else []))
    return lacking
