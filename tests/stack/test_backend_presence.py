"""What of a backend is there, whatever it has left out or named otherwise."""

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backend import BackendTables
from streams.backend_presence import Presence, backend_of, look_at
from streams.setting_groups import Backend


async def after(engine: AsyncEngine, *changes: str, **names: Mapping[str, str]) -> tuple[BackendTables, Presence]:
    backend = backend_of(Backend.model_validate(names))
    async with engine.begin() as connection:
        for change in changes:
            await connection.execute(text(change))
        return backend, await look_at(connection, backend)


async def test_a_table_that_was_not_installed_is_not_there(engine: AsyncEngine) -> None:
    backend, presence = await after(engine, "DROP TABLE token_blacklist_blacklistedtoken")

    assert presence.has(backend.outstanding_tokens, backend.users)
    assert not presence.has(backend.users, backend.blacklisted_tokens)


async def test_missing_columns_are_named_as_settings_name_them(engine: AsyncEngine) -> None:
    backend, presence = await after(
        engine, "ALTER TABLE users RENAME email TO mail", "ALTER TABLE users DROP bio", columns={"users.email": "mail"}
    )

    assert presence.missing_columns(backend.users) == ["bio"]


async def test_an_optional_column_is_found_under_its_own_name(engine: AsyncEngine) -> None:
    _, presence = await after(
        engine, "ALTER TABLE users ADD tz text", columns={"users.time_zone": "tz", "users.locale": "language"}
    )

    zone = presence.optional("users.time_zone")
    assert zone is not None
    assert zone.name == "tz"
    assert presence.optional("users.locale") is None


async def test_keys_may_be_uuids() -> None:
    backend = backend_of(Backend(keys="uuid"))

    kinds = {str(column.type) for column in (backend.posts.c.id, backend.posts.c.author_id, backend.likes.c.object_id)}
    assert kinds == {"CHAR(32)"}
