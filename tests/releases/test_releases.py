"""Events and databases of every release are still good for this version."""

import json
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from schemas.export import event_schemas
from schemas.facts import parse_fact
from streams import migrations
from streams.db import engine_for
from streams.devstack.stack import Stack
from streams.migrations.run import migrate
from streams.setting_groups import Database
from tests.releases.snapshot import RELEASES, database_dump

RELEASED = sorted(path for path in RELEASES.iterdir() if (path / "schema.sql").exists())
RELEASED_EVENTS = sorted(schema for release in RELEASED for schema in (release / "events").glob("*.json"))


def _release(path: Path) -> str:
    return str(path.relative_to(RELEASES))


@pytest.fixture
async def empty_database_url(stack: Stack) -> AsyncIterator[str]:
    """A database without anything of ours."""
    name = f"e{uuid.uuid4().hex[:12]}"
    connection = await asyncpg.connect(stack.database_url)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    yield stack.database_url.rsplit("/", 1)[0] + f"/{name}"
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


async def _run(url: str, script: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(script)
    finally:
        await connection.close()


async def _migrate_to(url: str, revision: str) -> None:
    engine = engine_for(Database(url=url))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade, revision)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__path__[0])))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _revision(dump: str) -> str:
    found = re.search(r"INSERT INTO tailrace\.schema_version VALUES \('(\w+)'\)", dump)
    assert found, "the dump has no row of tailrace.schema_version; write it again with tests/releases/snapshot.py"
    return found[1]


def _fields(schema: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Type of each field, and the fields that must be there."""
    definition = schema["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    types = {name: {k: v for k, v in kind.items() if k != "default"} for name, kind in definition["properties"].items()}
    return types, set(definition["required"])


def test_each_release_that_is_kept_is_whole() -> None:
    assert RELEASED
    assert all((release / "events").is_dir() for release in RELEASED)


@pytest.mark.parametrize("path", RELEASED_EVENTS, ids=_release)
def test_an_event_of_a_release_is_still_understood(path: Path) -> None:
    released_types, released_required = _fields(json.loads(path.read_text()))

    types, required = _fields(event_schemas()[path.stem])

    lost = {name for name, kind in released_types.items() if types.get(name) != kind}
    assert not lost, f"schemas/events.py: {path.stem} lost or changed {lost}; publishers of {path.parts[-3]} send them"
    assert required <= released_required, (
        f"schemas/events.py: {path.stem} now requires {required - released_required}, "
        f"which publishers of {path.parts[-3]} do not send; give it a default"
    )


def _value(kind: dict[str, Any], definitions: dict[str, Any]) -> Any:
    """Some value of this JSON Schema, as far as ours go."""
    if "$ref" in kind:
        return _event(definitions[kind["$ref"].rsplit("/", 1)[1]], definitions, required_only=False)
    if "anyOf" in kind:
        return _value(kind["anyOf"][0], definitions)
    if "enum" in kind or "const" in kind:
        return kind.get("const", kind.get("enum", [None])[0])
    if kind["type"] == "array":
        return [_value(kind["items"], definitions)]
    texts = {"date-time": "2026-03-04T12:00:00Z"}
    values = {"string": texts.get(kind.get("format", ""), "x"), "integer": 1, "number": 1.5, "boolean": True}
    return {**values, "null": None, "object": {}}[kind["type"]]


def _event(definition: dict[str, Any], definitions: dict[str, Any], *, required_only: bool) -> dict[str, Any]:
    names = definition["required"] if required_only else definition["properties"]
    return {name: _value(definition["properties"][name], definitions) for name in names}


@pytest.mark.parametrize("required_only", [True, False], ids=["least", "whole"])
@pytest.mark.parametrize("path", RELEASED_EVENTS, ids=_release)
def test_an_event_as_a_release_writes_it_is_decoded(path: Path, required_only: bool) -> None:
    schema = json.loads(path.read_text())
    definition = schema["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    written = _event(definition, schema["$defs"], required_only=required_only)

    decoded = parse_fact(path.stem, json.dumps(written))

    assert {name: msgspec.to_builtins(decoded)[name] for name in written} == written


@pytest.mark.parametrize("release", RELEASED, ids=_release)
async def test_the_migrations_still_make_the_database_of_a_release(
    release: Path, empty_database_url: str, stack: Stack
) -> None:
    released = (release / "schema.sql").read_text()
    await _migrate_to(empty_database_url, _revision(released))
    made = await database_dump(empty_database_url)

    await _run(empty_database_url, "DROP SCHEMA tailrace CASCADE")
    await _run(empty_database_url, released)

    assert made == await database_dump(empty_database_url), (
        f"{_release(release)}: a migration that was released may not change; add a new one"
    )


@pytest.mark.parametrize("release", RELEASED, ids=_release)
async def test_a_database_of_a_release_upgrades_to_the_newest(
    release: Path, empty_database_url: str, database_url: str
) -> None:
    await _run(empty_database_url, (release / "schema.sql").read_text())

    await migrate(empty_database_url)

    assert await database_dump(empty_database_url) == await database_dump(database_url)
