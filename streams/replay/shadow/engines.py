"""Connections of a shadow replay: they mean its scratch schemas where a statement says ``tailrace``, and a transaction
that has written anywhere else does not commit.
"""

from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from streams.db import engine_for
from streams.replay.shadow.scratch import Scratch
from streams.setting_groups import Database

# Tables outside of the scratch schemas that this transaction has written: each write holds this lock until its end.
WRITTEN = """
    SELECT string_agg(DISTINCT pg_class.oid::regclass::text, ', ')
      FROM pg_locks JOIN pg_class ON pg_class.oid = relation JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE pid = pg_backend_pid() AND mode = 'RowExclusiveLock' AND relkind IN ('r', 'p')
       AND nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('{ours}', '{other}')
"""


class WroteElsewhere(Exception):
    """A task has written a live table; nothing of its transaction is stored."""


def ledger_engine(database: Database, scratch: Scratch) -> AsyncEngine:
    """For the scratch ledger."""
    engine = _like(engine_for(database), scratch, {})
    _rename(engine, scratch)
    return engine


def task_engine(database: Database, scratch: Scratch) -> AsyncEngine:
    """For tasks: single statements can only read; transactions write the scratch schemas, or do not commit."""
    engine = _like(engine_for(database), scratch, {"default_transaction_read_only": "on"})
    _rename(engine, scratch)
    written = WRITTEN.format(ours=scratch.ours, other=scratch.other)

    @event.listens_for(engine.sync_engine, "begin")
    def _may_write(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("SET TRANSACTION READ WRITE")

    @event.listens_for(engine.sync_engine, "commit")
    def _require_scratch(connection: Connection) -> None:
        found = connection.exec_driver_sql(written).scalar_one()
        if found:
            raise WroteElsewhere(
                f"a shadow replay does not write {found}: name it with --table, and it writes a copy of it"
            )

    return engine


def _like(usual: AsyncEngine, scratch: Scratch, session: dict[str, str]) -> AsyncEngine:
    """A small pool of the same address."""
    settings = {
        "application_name": "tailrace-shadow",
        "timezone": "UTC",
        "search_path": f'{scratch.other}, "$user", public',
    }
    return create_async_engine(
        usual.url,
        pool_size=4,
        max_overflow=0,
        hide_parameters=True,
        json_serializer=usual.dialect._json_serializer,
        json_deserializer=usual.dialect._json_deserializer,
        connect_args={"timeout": 10, "command_timeout": 60, "server_settings": settings | session},
    )


def _rename(engine: AsyncEngine, scratch: Scratch) -> None:
    @event.listens_for(engine.sync_engine, "before_cursor_execute", retval=True)
    def _in_scratch(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> tuple[str, Any]:
        return statement.replace("tailrace.", f"{scratch.ours}."), parameters
