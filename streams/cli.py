"""``tailrace``: every command. What is heavy is imported by the command that needs it."""

import asyncio
import sys
from datetime import timedelta

import click

from streams.cli_analytics import analytics
from streams.cli_archive import export, import_
from streams.cli_attach import attach, detach
from streams.cli_dlq import dlq
from streams.cli_forget import forget
from streams.cli_mail import mail
from streams.cli_media import media
from streams.cli_posts import posts
from streams.cli_queue import queue
from streams.cli_replay import replay
from streams.cli_runs import runs
from streams.cli_schedule import schedule
from streams.cli_schema import schema
from streams.cli_settings import load_settings
from streams.cli_status import status
from streams.cli_trends import trends
from streams.cli_up import env, up
from streams.cli_work import enqueue, run
from streams.durations import format_duration
from streams.settings import FIELDS, SECRETS, Settings, without_password


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tailrace", prog_name="tailrace")
def cli() -> None:
    """Event-driven background work for social-media backends."""


@cli.command()
@click.option("--queues", metavar="NAME,NAME", help="Serve only these queues.")
@click.option("--concurrency", type=int, metavar="N", help="Runs at once, of all queues together.")
def worker(queues: str | None, concurrency: int | None) -> None:
    """Run the tasks: router, queues, schedules, relay and trending counter."""
    import uvloop

    from agents import TASKS
    from streams.starting import CannotStart
    from streams.worker import WorkerFailed, run_worker

    settings = load_settings(
        {
            "TAILRACE_WORKER__QUEUES": queues,
            "TAILRACE_WORKER__CONCURRENCY": None if concurrency is None else str(concurrency),
        }
    )
    try:
        uvloop.run(run_worker(settings, TASKS))
    except (CannotStart, WorkerFailed) as error:
        sys.exit(f"tailrace worker: {error}")


@cli.command()
def serve() -> None:
    """Run the HTTP server: live trends, the page, health."""
    import uvloop

    from agents import TASKS
    from streams.starting import CannotStart
    from streams.web.server import serve as run_server

    settings = load_settings()
    try:
        uvloop.run(run_server(settings, TASKS))
    except CannotStart as error:
        sys.exit(f"tailrace serve: {error}")


@cli.command()
def migrate() -> None:
    """Create or upgrade the schema `tailrace` and create the topics that are missing."""
    from aiokafka.errors import KafkaError

    from streams.database_errors import DATABASE_ERRORS, explain
    from streams.migrations.run import migrate as migrate_schema
    from streams.topics import create_topics

    settings = load_settings()
    try:
        asyncio.run(migrate_schema(settings.database.direct_url or settings.database.url))
        click.echo("schema tailrace: up to date")
        if asyncio.run(_keep_source(settings)):
            click.echo(f"events that the database says are those of {settings.backend.source}")
        created = asyncio.run(create_topics(settings))
    except DATABASE_ERRORS as error:
        sys.exit(f"tailrace migrate: {explain(error, settings.database)}")
    except KafkaError as error:
        sys.exit(f"tailrace migrate: {_broker_problem(settings, error)}")
    click.echo(f"topics: {len(created)} created" if created else "topics: up to date")


async def _keep_source(settings: "Settings") -> bool:
    """Only what was set: who migrates need not know how the backend was attached."""
    from streams.attach.event_source import keep_source
    from streams.db import direct_connection

    if "source" not in settings.backend.model_fields_set:
        return False
    async with direct_connection(settings.database) as connection:
        return await keep_source(connection, settings.backend.source)


@cli.command()
@click.argument("event_type")
@click.argument("data")
def publish(event_type: str, data: str) -> None:
    """Publish one event: tailrace publish user.created '{"user_id": 1, ...}'. DATA of - reads standard input."""
    from aiokafka.errors import KafkaError

    from schemas.facts import InvalidEvent, NotDelivered, parse_fact
    from streams.kafka_client import client_options
    from streams.publisher import AsyncPublisher

    settings = load_settings()

    async def send() -> str:
        fact = parse_fact(event_type, sys.stdin.read() if data == "-" else data)
        options = client_options(settings.kafka)
        prefix, source = settings.kafka.topic_prefix, settings.backend.source
        async with AsyncPublisher(**options, topic_prefix=prefix, source=source) as publisher:
            ((topic, partition, offset),) = await publisher.publish(fact)
        return f"{topic} partition {partition} offset {offset}, id {fact.natural_id}"

    try:
        click.echo(asyncio.run(send()))
    except InvalidEvent as error:
        sys.exit(f"tailrace publish: {error}")
    except (KafkaError, NotDelivered) as error:
        sys.exit(f"tailrace publish: {_broker_problem(settings, error)}")


@cli.command("settings")
def show_settings() -> None:
    """List every setting with its value; secrets are hidden."""
    settings = load_settings()
    for name, (group, field) in FIELDS.items():
        value = getattr(getattr(settings, group), field)
        text = format_duration(value) if isinstance(value, timedelta) else str(value)
        shown = "***" if name in SECRETS and value else without_password(text)
        click.echo(f"{name}={shown}")


def _broker_problem(settings: Settings, error: Exception) -> str:
    return (
        f"Kafka at {settings.kafka.bootstrap_servers} cannot be used ({error!r}); "
        "check that it runs, TAILRACE_KAFKA__BOOTSTRAP_SERVERS, and that `tailrace migrate` has created the topics"
    )


def main() -> None:
    """Entry of the script ``tailrace``."""
    cli()


for command in (
    up,
    env,
    attach,
    detach,
    status,
    dlq,
    runs,
    queue,
    enqueue,
    run,
    schedule,
    trends,
    replay,
    export,
    import_,
    analytics,
    posts,
    forget,
    media,
    schema,
    mail,
):
    cli.add_command(command)

if __name__ == "__main__":
    main()
