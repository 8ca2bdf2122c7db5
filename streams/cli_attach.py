"""``tailrace attach`` and ``tailrace detach``: triggers that say a backend's events, and their end."""

import asyncio
import logging
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import asyncpg

    from streams.attach.event_sql import Columns
    from streams.settings import Settings

DATABASE = click.option("--database", metavar="URL", help="The backend's database.  [default: TAILRACE_DATABASE__URL]")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Check and show the SQL; change nothing.")
YES = click.option("--yes", is_flag=True, help="Do not ask.")


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    dry_run: bool
    yes: bool
    worker_role: str | None
    backfill: tuple[str, ...] = ()
    since: datetime | None = None
    again: bool = False


class Tables(click.ParamType):
    """Tables whose rows can be said later, with commas between."""

    name = "tables"

    def convert(
        self, value: str | tuple[str, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """In the order in which they are said: users before their posts, posts before their tags."""
        from streams.attach.backfill import NAMES

        given = tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else value
        for name in given:
            if name not in NAMES:
                self.fail(f"{name!r} cannot be backfilled; these can: {', '.join(NAMES)}", param, ctx)
        return tuple(name for name in NAMES if name in given)


@click.command()
@DATABASE
@DRY_RUN
@YES
@click.option("--worker-role", metavar="ROLE", help="Grant this role what workers need in the schema tailrace.")
@click.option("--backfill", type=Tables(), default=(), metavar="users,posts", help="Then say rows that were there.")
@click.option("--since", type=click.DateTime(), help="Of a backfill: from this time on, UTC.  [default: what is kept]")
@click.option("--again", is_flag=True, help="Of a backfill: from the start, also if it was finished before.")
def attach(
    database: str | None,
    dry_run: bool,
    yes: bool,
    worker_role: str | None,
    backfill: tuple[str, ...],
    since: datetime | None,
    again: bool,
) -> None:
    """Let triggers say the backend's events. Its tables are checked first, and the SQL is shown.

    Run it again after an upgrade or a change of the mapping: it replaces what is not as it should be, and nothing else.
    """
    settings = _settings(database)
    _run("attach", settings, _attach(settings, Options(dry_run, yes, worker_role, backfill, since, again)))


@click.command()
@DATABASE
@DRY_RUN
@YES
@click.option("--drop-schema", is_flag=True, help="Drop the schema tailrace, too: ledger, outbox, mails, counts.")
def detach(database: str | None, dry_run: bool, yes: bool, drop_schema: bool) -> None:
    """Remove the triggers: the backend's tables are as they were before `attach`."""
    settings = _settings(database)
    _run("detach", settings, _detach(settings, dry_run=dry_run, yes=yes, drop_schema=drop_schema))


async def _attach(settings: "Settings", options: Options) -> None:
    from streams.attach.attaching import attach, look
    from streams.db import direct_connection

    async with direct_connection(settings.database) as connection:
        attachment = await look(connection, settings.backend, options.worker_role, options.backfill)
        for note in attachment.findings.notes:
            click.echo(f"note: {note}", err=True)
        if attachment.changes:
            click.echo(attachment.sql())
        else:
            click.echo("attached already, and up to date")
        if options.worker_role:
            await _show_grants(settings, options.worker_role)
        if options.dry_run:
            return
        if attachment.changes:
            _confirm(options.yes)
            await attach(connection, settings.database.direct_url or settings.database.url, attachment, click.echo)
        await _create_topics(settings)
        if options.backfill:
            await _backfill(connection, settings, attachment.findings.columns, options)
    said = sorted({trigger.says for trigger in attachment.triggers})
    click.echo(f"attached: {', '.join(said)}; now start `tailrace worker`")


async def _show_grants(settings: "Settings", role: str) -> None:
    """What is not ours to grant."""
    from streams.attach.grants import on_the_backend
    from streams.attach.rights import needed_rights
    from streams.backend_presence import backend_of
    from streams.db import engine_for

    engine = engine_for(settings.database)
    try:
        async with engine.connect() as connection:
            backend = backend_of(settings.backend)
            rights = await needed_rights(connection, backend, settings.cleanup.tables_taken_along)
    finally:
        await engine.dispose()
    click.echo("\nthe owner of the backend's tables lets the workers work:")
    for grant in on_the_backend(role, settings.backend.db_schema, rights):
        click.echo(f"    {grant}")


async def _backfill(
    connection: "asyncpg.Connection", settings: "Settings", columns: "Columns", options: Options
) -> None:
    from streams.attach.backfill import Backfill, make_room

    earliest = (datetime.now(UTC) - settings.ledger.keep).replace(hour=0, minute=0, second=0, microsecond=0)
    since = options.since.replace(tzinfo=UTC) if options.since else earliest
    if since < earliest:
        raise click.ClickException(
            f"--since {since:%Y-%m-%d} is before {earliest:%Y-%m-%d}, where the ledger ends: raise "
            "TAILRACE_LEDGER__KEEP for the workers and here, or begin later"
        )
    absent = [name for name in options.backfill if not columns.has(f"{name}.id")]
    if absent:
        raise click.ClickException(f"this backend has no {', '.join(absent)} to backfill")
    await make_room(connection, since)
    for name in options.backfill:
        backfill = Backfill(name, since, columns)
        if options.again:
            await backfill.forget(connection)
        counts = await backfill.run(connection, click.echo)
        click.echo(
            f"backfill of {name} since {since:%Y-%m-%d}: {counts.looked_at} looked at, {counts.said} said, "
            f"{counts.set_aside} set aside"
        )


async def _detach(settings: "Settings", *, dry_run: bool, yes: bool, drop_schema: bool) -> None:
    from streams.attach.attaching import detach, what_to_remove
    from streams.db import direct_connection

    async with direct_connection(settings.database) as connection:
        steps = await what_to_remove(connection, schema=drop_schema)
        if not steps:
            click.echo("nothing is attached")
            return
        for step in steps:
            click.echo("\n".join(f"{statement};" for statement in step.statements))
        if dry_run:
            return
        _confirm(yes)
        await detach(connection, steps, click.echo)
    click.echo("detached")


async def _create_topics(settings: "Settings") -> None:
    """The database is attached whether or not the broker can be reached from here."""
    from aiokafka.errors import KafkaError

    from streams.topics import create_topics

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it would log of a broker that is away we say once
    try:
        created = await create_topics(settings)
    except KafkaError as error:
        click.echo(
            f"note: Kafka at {settings.kafka.bootstrap_servers} cannot be reached from here ({error!r}); "
            "run `tailrace migrate` where it can, before the worker starts",
            err=True,
        )
    else:
        click.echo(f"topics: {len(created)} created" if created else "topics: up to date")


def _confirm(yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.ClickException("nothing was changed: nobody is there to ask; give --yes")
    click.confirm("Run this?", abort=True)


def _settings(database: str | None) -> "Settings":
    """Those of the environment, on the database that was named."""
    from streams.cli_settings import load_settings

    # Another database is beside another pooler, or none.
    options = {"TAILRACE_DATABASE__URL": database, "TAILRACE_DATABASE__DIRECT_URL": database}
    return load_settings(options)


def _run(command: str, settings: "Settings", work: Coroutine[Any, Any, None]) -> None:
    """The program ends with a message where the database is not as it must be."""
    from streams.attach.attaching import CannotAttach
    from streams.attach.backfill import RestartWorkers
    from streams.attach.installing import TableInUse
    from streams.database_errors import DATABASE_ERRORS, explain

    try:
        asyncio.run(work)
    except (CannotAttach, RestartWorkers, TableInUse) as error:
        sys.exit(f"tailrace {command}: {error}")
    except DATABASE_ERRORS as error:
        sys.exit(f"tailrace {command}: {explain(error, settings.database)}")
