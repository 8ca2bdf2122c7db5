"""The scratch schemas of a shadow replay: our tables, empty; the backend's, to be read only."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.backend_presence import backend_of, look_at
from streams.replay.request import WrongReplay
from streams.settings import Settings

# Our tables; of the ledger the whole and not its months.
OURS = text("""
    SELECT relname AS name FROM pg_class
     WHERE relnamespace = 'tailrace'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
       AND relname <> 'schema_version'
""")

# The table that a name stands for, as the worker's connections see it; null where there is none.
FIND = text("""
    SELECT quote_ident(nspname) || '.' || quote_ident(relname) AS live, relname AS name
      FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE pg_class.oid = to_regclass(:name) AND relkind IN ('r', 'p')
""")


# Shadows that were cancelled, and of which something is left.
LEFT = text("""
    SELECT id FROM tailrace.replays
     WHERE mode = 'shadow' AND state = 'cancelled' AND owner IS NULL
       AND to_regnamespace('tailrace_shadow_' || id) IS NOT NULL
""")


@dataclass(frozen=True)
class Scratch:
    """The schemas of one replay: ``ours`` in the place of ``tailrace``, ``other`` in that of the backend's."""

    replay: int

    @property
    def ours(self) -> str:
        return f"tailrace_shadow_{self.replay}"

    @property
    def other(self) -> str:
        return f"tailrace_shadow_{self.replay}_backend"

    @property
    def folder(self) -> str:
        """Where its files are, in the media's storage."""
        return f"shadow/{self.replay}"


async def left_behind(engine: AsyncEngine) -> list[Scratch]:
    """What cancelled shadows have left."""
    async with engine.connect() as connection:
        return [Scratch(row.id) for row in await connection.execute(LEFT)]


async def find_tables(engine: AsyncEngine, names: Sequence[str]) -> dict[str, str]:
    """Name -> the live table, of tables that tasks write beside ours. Raises ``WrongReplay`` for one that is not."""
    found = {}
    async with engine.connect() as connection:
        for name in names:
            row = (await connection.execute(FIND, {"name": name})).first()
            if row is None:
                raise WrongReplay(f"there is no table {name!r}; write it as in SQL, e.g. profiles or public.profiles")
            found[row.name] = row.live
    return found


async def make_scratch(engine: AsyncEngine, settings: Settings, scratch: Scratch, tables: Sequence[str]) -> None:
    """Make both schemas, or find them as a reader that was lost has left them. ``tables`` are copied empty."""
    copied = await find_tables(engine, tables)
    async with engine.begin() as connection:
        if (await connection.execute(text("SELECT to_regnamespace(:name)"), {"name": scratch.ours})).scalar_one():
            left = f"UPDATE {scratch.ours}.task_runs SET state = 'queued' WHERE state = 'running'"  # noqa: S608
            await connection.execute(text(left))
            return
        await connection.execute(text(f"CREATE SCHEMA {scratch.ours}"))
        await connection.execute(text(f"CREATE SCHEMA {scratch.other}"))
        await _copy_ours(connection, scratch)
        for name, live in copied.items():
            await connection.execute(text(f'CREATE TABLE {scratch.other}."{name}" (LIKE {live} INCLUDING ALL)'))
        await _show_the_backend(connection, settings, scratch, copied)


async def drop_scratch(engine: AsyncEngine, scratch: Scratch) -> None:
    """Both schemas are gone, with all that is in them."""
    async with engine.begin() as connection:
        for schema in (scratch.ours, scratch.other):
            await connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))


async def _copy_ours(connection: AsyncConnection, scratch: Scratch) -> None:
    for row in (await connection.execute(OURS)).all():
        await connection.execute(
            text(f"CREATE TABLE {scratch.ours}.{row.name} (LIKE tailrace.{row.name} INCLUDING ALL)")
        )
    for statement in (
        f"CREATE VIEW {scratch.ours}.task_run_months AS SELECT * FROM tailrace.task_run_months",  # noqa: S608
        f"CREATE FUNCTION {scratch.ours}.wake_relay() RETURNS void LANGUAGE sql AS ''",
        f"CREATE FUNCTION {scratch.ours}.ensure_months(date, date) RETURNS void LANGUAGE sql AS ''",
        f"""CREATE FUNCTION {scratch.ours}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION 'a shadow replay does not write %: name it with --table, and it writes a copy',
                    TG_TABLE_NAME;
            END $$""",
    ):
        await connection.execute(text(statement))


async def _show_the_backend(
    connection: AsyncConnection, settings: Settings, scratch: Scratch, copied: dict[str, str]
) -> None:
    """A view of each of its tables: what is read is live, and nothing can be written."""
    backend = backend_of(settings.backend)
    there = await look_at(connection, backend)
    for table in backend.metadata.tables.values():
        if table.name in copied or not there.has(table):
            continue
        view = f'{scratch.other}."{table.name}"'
        live = f'"{settings.backend.db_schema}"."{table.name}"'
        await connection.execute(text(f"CREATE VIEW {view} AS SELECT * FROM {live}"))  # noqa: S608 - from the catalogue
        await connection.execute(
            text(
                f"CREATE TRIGGER refuse INSTEAD OF INSERT OR UPDATE OR DELETE ON {view} "
                f"FOR EACH ROW EXECUTE FUNCTION {scratch.ours}.refuse()"
            )
        )
