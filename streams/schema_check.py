"""Whether the database has the schema that this version of the program works with."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.db import autocommit

# The version of our schema in this database, where it has one.
HAS_SCHEMA = text("SELECT to_regclass('tailrace.schema_version') IS NOT NULL")
VERSION = text("SELECT version_num FROM tailrace.schema_version")


async def schema_version(engine: AsyncEngine) -> str | None:
    """The schema's version in the database, or None where there is no schema yet."""
    async with autocommit(engine) as connection:
        if not (await connection.execute(HAS_SCHEMA)).scalar_one():
            return None
        found: str | None = (await connection.execute(VERSION)).scalar_one_or_none()
        return found


def schema_problem(found: str | None, newest: str) -> str | None:
    """What is wrong with a database of version ``found``, and what to do; None where it is right."""
    if found is None:
        return "the database has no schema `tailrace` yet; run `tailrace migrate`"
    if found < newest:
        return f"the schema `tailrace` is at version {found}, and this program needs {newest}; run `tailrace migrate`"
    if found > newest:
        return f"the schema `tailrace` is at version {found}, newer than this program ({newest}); install the newer one"
    return None
