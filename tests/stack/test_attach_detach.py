"""Attaching and detaching: checks, rights, other names and keys, upgrades, and that nothing stays behind."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.schema import CreateSchema

from schemas.backend import backend_tables
from streams.attach.attaching import CannotAttach, detach, look, what_to_remove
from streams.backend_presence import backend_of
from streams.cli import cli
from streams.db import engine_for
from streams.devstack.stack import Stack
from streams.setting_groups import Backend, Database
from tests.attaching import add_user, attach_to, ids, said
from tests.processes import run
from tests.releases.snapshot import pg_dump


@pytest.fixture
async def bare_url(stack: Stack) -> AsyncIterator[str]:
    """A database without anything."""
    name = f"b{uuid.uuid4().hex[:12]}"
    owner = await asyncpg.connect(stack.database_url)
    await owner.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    yield stack.database_url.rsplit("/", 1)[0] + f"/{name}"
    await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await owner.close()


async def create_backend(url: str, settings: Backend) -> None:
    """Its tables under the names that the settings give them."""
    engine = engine_for(Database(url=url))
    async with engine.begin() as connection:
        if settings.db_schema != "public":
            await connection.execute(CreateSchema(settings.db_schema))
        await connection.run_sync(backend_of(settings).metadata.create_all)
    await engine.dispose()


async def dumped(url: str) -> str:
    return await pg_dump("--schema-only", "--restrict-key=same", f"--dbname={url}")


async def test_the_commands_attach_and_leave_nothing_behind(bare_url: str, environment: dict[str, str]) -> None:
    await create_backend(bare_url, Backend())
    before = await dumped(bare_url)

    shown = await run("attach", "--database", bare_url, "--dry-run", environment=environment)
    untouched = await dumped(bare_url)
    attached = await run("attach", "--database", bare_url, "--yes", environment=environment, within=180)
    between = await dumped(bare_url)
    gone = await run("detach", "--database", bare_url, "--yes", "--drop-schema", environment=environment)

    assert (shown[0], "CREATE OR REPLACE TRIGGER tailrace_users_insert" in shown[1]) == (0, True)
    assert untouched == before != between
    assert attached[0] == 0, attached
    assert "attached: post.deleted, post.tagged, post.uploaded, user.created, user.deleted" in attached[1]
    assert gone[0] == 0, gone
    assert await dumped(bare_url) == before


async def test_detaching_alone_keeps_what_tailrace_knows(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    before = await dumped(database_url)
    await attach_to(connection, database_url)

    await detach(connection, await what_to_remove(connection, schema=False), lambda _: None)

    await connection.close()
    assert await dumped(database_url) == before


async def test_what_is_missing_is_said_with_the_setting_that_maps_it(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("ALTER TABLE users RENAME email TO mail; ALTER TABLE posts RENAME TO entries")

    with pytest.raises(CannotAttach) as refused:
        await look(connection, Backend(), None, ())

    await connection.close()
    assert 'TAILRACE_BACKEND__COLUMNS=\'{"users.email": "..."}\'' in str(refused.value)
    assert 'TAILRACE_BACKEND__TABLES=\'{"posts": "..."}\'' in str(refused.value)


async def test_a_backend_without_tags_is_attached_and_told_what_goes_without(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP TABLE post_hashtags")

    attachment = await look(connection, Backend(), None, ())

    await connection.close()
    assert any("post.tagged is not said" in note for note in attachment.findings.notes)
    assert "post.tagged" not in {trigger.says for trigger in attachment.triggers}


async def test_other_names_another_schema_and_uuids(bare_url: str) -> None:
    settings = Backend(
        db_schema="Social",
        keys="uuid",
        tables={"users": "Account User"},
        columns={"users.email": "e-mail", "users.date_joined": "since"},
    )
    await create_backend(bare_url, settings)
    connection, key = await asyncpg.connect(bare_url), uuid.uuid4()
    await attach_to(connection, bare_url, settings)

    await add_user(connection, backend_of(settings), id=key)

    ((event_id, fact),) = await said(connection)
    before = len(await what_to_remove(connection, schema=False))
    await connection.close()
    assert (event_id, fact.email) == (f"user.created:{key}", "ada@example.org")
    assert before == 6


async def test_triggers_and_emit_say_events_of_one_source_which_is_that_of_the_settings(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await attach_to(connection, database_url)

    told = await attach_to(connection, database_url, Backend(source="/sh'op"))
    again = await attach_to(connection, database_url, Backend(source="/sh'op"))
    await add_user(connection, backend_tables(), id=9)
    await connection.execute("SELECT tailrace.emit('user.deleted', '9', '{\"user_id\": 9}')")

    events = await connection.fetch("SELECT headers FROM tailrace.outbox ORDER BY id")
    await connection.close()
    assert (told, again) == (["done: say events as those of /sh'op"], [])
    identities = [(headers["ce_source"], headers["ce_id"]) for row in events if (headers := dict(json.loads(row[0])))]
    assert identities == [("/sh'op", "user.created:9"), ("/sh'op", "user.deleted:9")]


async def test_a_migration_writes_a_source_that_was_set_and_leaves_it_where_none_was(
    database_url: str, environment: dict[str, str]
) -> None:
    connection = await asyncpg.connect(database_url)

    said = await migrated(environment | {"TAILRACE_BACKEND__SOURCE": "/shop"})
    unsaid = await migrated(environment)

    assert await connection.fetchval("SELECT source FROM tailrace.event_source") == "/shop"
    assert ("those of /shop" in said, "those of" in unsaid) == (True, False)
    await connection.close()


async def migrated(environment: dict[str, str]) -> str:
    result = await asyncio.to_thread(CliRunner(env=environment).invoke, cli, ["migrate"])
    assert result.exit_code == 0, result.output
    return result.output


async def test_times_without_a_zone_are_utc(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("ALTER TABLE users ALTER date_joined TYPE timestamp")
    await attach_to(connection, database_url)
    await connection.execute("SET TIME ZONE 'America/New_York'")

    await add_user(connection, backend_tables(), date_joined=text("timestamp '2026-03-04 12:00:00.5'"))

    ((_, fact),) = await said(connection)
    await connection.close()
    assert fact.created_at.isoformat() == "2026-03-04T12:00:00.500000+00:00"


async def test_a_trigger_of_another_version_and_one_that_was_dropped_are_put_right(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await attach_to(connection, database_url)
    await connection.execute("""
        COMMENT ON FUNCTION tailrace.on_users_insert() IS 'tailrace attach 0000';
        DROP TRIGGER tailrace_posts_insert ON posts;
    """)

    told = await attach_to(connection, database_url)
    again = await attach_to(connection, database_url)

    assert again == []
    assert told == [
        "done: replace the trigger that says user.created of public.users",
        "done: create the trigger that says post.uploaded of public.posts",
    ]
    await add_user(connection, backend_tables(), id=9)
    assert await ids(connection) == ["user.created:9"]
    await connection.close()


async def test_a_changed_mapping_moves_the_trigger(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await attach_to(connection, database_url)
    await connection.execute("CREATE TABLE public.people (LIKE users INCLUDING ALL)")
    moved = Backend(tables={"users": "people"})
    await attach_to(connection, database_url, moved)

    await add_user(connection, backend_tables(), id=1)
    await add_user(connection, backend_of(moved), id=2)

    assert await ids(connection) == ["user.created:2"]
    await connection.close()


async def test_the_least_rights_are_printed_and_suffice(bare_url: str) -> None:
    await create_backend(bare_url, Backend())
    owner, role = await asyncpg.connect(bare_url), f"tail_{uuid.uuid4().hex[:8]}"
    await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'; REVOKE USAGE ON SCHEMA public FROM PUBLIC")
    host = bare_url.rsplit("@", 1)[1]
    url, granted = f"postgresql://{role}:x@{host}", list[str]()
    connection = await asyncpg.connect(url)

    for _ in range(3):
        try:
            await attach_to(connection, url)
            break
        except CannotAttach as refused:
            granted += [line.strip() for line in str(refused).splitlines() if line.startswith("    ")]
            for grant in granted:
                await owner.execute(grant)

    await add_user(owner, backend_tables(), id=1)
    await detach(connection, await what_to_remove(connection, schema=True), lambda _: None)
    await asyncio.gather(connection.close())
    await owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    await owner.close()
    assert f"GRANT TRIGGER, SELECT ON public.posts TO {role};" in granted
    assert f"GRANT TRIGGER ON public.users TO {role};" in granted
