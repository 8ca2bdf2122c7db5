"""Bring the schema ``tailrace`` to the newest version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from streams.db import engine_for
from streams.setting_groups import Database

LOCK = "SELECT pg_advisory_xact_lock(hashtext('tailrace.migrate'))"


async def migrate(database_url: str) -> None:
    """Create or upgrade our schema. Several at once wait for each other; a current schema is left alone."""
    engine = engine_for(Database(url=database_url))
    try:
        async with engine.begin() as connection:
            await connection.execute(text(LOCK))
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
