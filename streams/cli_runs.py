"""``tailrace runs``: what the ledger knows of every run, and what an operator can do to one."""

import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from schemas.topics import QUEUE_BY_NAME
from streams.instants import parse_past
from streams.run_filter import RETRIED, STATES, Filter
from streams.run_ids import RunId, WrongRunId, parse_run_id

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from streams.runs_listing import Facts
    from streams.settings import Settings

Named = RunId | uuid.UUID


class Past(click.ParamType):
    """An instant, or how long ago it was."""

    name = "instant or duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return parse_past(value, datetime.now(UTC))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Run(click.ParamType):
    """A run as ``tailrace runs list`` names it, or its id alone."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Named:
        if isinstance(value, RunId | uuid.UUID):
            return value
        try:
            return parse_run_id(value)
        except WrongRunId as error:
            self.fail(str(error), param, ctx)


@click.group()
def runs() -> None:
    """List, show, retry and cancel runs."""


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    """The options that choose runs, but for the state."""
    options = (
        click.option("--task", help="Of this task, which may be one that is no more."),
        click.option("--queue", type=click.Choice(list(QUEUE_BY_NAME)), help="Of this queue."),
        click.option("--schedule", help="Started by this schedule."),
        click.option("--since", type=Past(), help="Caused (dead ones: died) at or after this, e.g. 24h."),
        click.option("--until", type=Past(), help="Caused (dead ones: died) before this."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@runs.command("list")
@_filters
@click.option("--state", type=click.Choice(STATES), help="In this state.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array for programs.")
def list_(limit: int, as_json: bool, **chosen: Any) -> None:
    """List runs, newest first.

    Without --since: those caused in the last 24 hours, and of --schedule and of the states queued, running,
    parked and dead all that there are.
    """
    from streams.cli_database import echo_json, with_database
    from streams.runs_listing import list_runs
    from streams.runs_tables import print_runs

    wanted = Filter(**chosen).bounded(datetime.now(UTC))

    async def read(_: "Settings", engine: "AsyncEngine") -> "list[Facts]":
        return await list_runs(engine, wanted, limit + 1)

    found = with_database("runs list", read)
    if as_json:
        echo_json(found[:limit])
    else:
        print_runs(found[:limit])
    if not found:
        click.echo(_nothing(wanted), err=True)
    if len(found) > limit:
        click.echo(f"these are the newest {limit}; see more with --limit", err=True)


def _nothing(wanted: Filter) -> str:
    """What was not found, and whether the task's name may be why."""
    from agents import TASKS

    names = sorted(task.name for task in TASKS)
    since = f" since {wanted.since.isoformat(timespec='seconds')}" if wanted.since else ""
    hint = "" if wanted.task is None or wanted.task in names else f"; the tasks are {', '.join(names)}"
    return f"no such run{since}{hint}"


@runs.command()
@click.argument("run", metavar="ID", type=Run())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for programs.")
def show(run: Named, as_json: bool) -> None:
    """Show all that is known of one run. An id without its @time is looked for month by month."""
    from streams.cli_database import echo_json, with_database
    from streams.runs_listing import UnknownRun, show_run
    from streams.runs_tables import print_run

    async def read(settings: "Settings", engine: "AsyncEngine") -> "Facts":
        found = await show_run(engine, run)
        return {**found, "dead_letter": await _letter(settings, engine, found)} if found["state"] == "dead" else found

    found = with_database("runs show", read, refusals=(UnknownRun,))
    if as_json:
        echo_json(found)
    else:
        print_run(found)


async def _letter(settings: "Settings", engine: "AsyncEngine", run: "Facts") -> str | None:
    """The place of a dead run's letter, as ``tailrace dlq show`` takes it."""
    from aiokafka.errors import KafkaError

    from streams.dead_letter_filter import WrongLetter
    from streams.dead_letter_of_run import find_letter

    try:
        found = await find_letter(settings.kafka, engine, run)
    except (KafkaError, WrongLetter, OSError, TimeoutError) as error:
        click.echo(f"where its dead letter lies is not known: {error!r}", err=True)
        return None
    return str(found) if found else None


@runs.command()
@click.argument("ids", metavar="[ID]...", type=Run(), nargs=-1)
@_filters
@click.option("--state", type=click.Choice(RETRIED), help="Instead of ids: dead ones (the default) or cancelled ones.")
@click.option("--dry-run", is_flag=True, help="Only say which runs it would be.")
def retry(ids: tuple[Named, ...], dry_run: bool, **chosen: Any) -> None:
    """Put dead or cancelled runs on their queue again, as their next attempt: by ID, or by what they have in common."""
    from streams.cli_database import with_database
    from streams.run_changes import change_all, retry, would_retry
    from streams.runs_listing import list_ids

    if bool(ids) == any(value is not None for value in chosen.values()):
        sys.exit(
            "tailrace runs retry: name runs by ID, or else by at least one option, "
            "e.g. `tailrace runs retry --task send_welcome_email --since 24h`"
        )
    wanted = Filter(**{**chosen, "state": chosen["state"] or "dead"}).bounded(datetime.now(UTC))

    async def change(_: "Settings", engine: "AsyncEngine") -> int:
        named = ids or await list_ids(engine, wanted)
        if dry_run:
            return await change_all(engine, named, "would be retried", would_retry)
        return await change_all(engine, named, "retried", retry)

    refused = with_database("runs retry", change)
    sys.exit(1 if refused and ids else 0)


@runs.command()
@click.argument("ids", metavar="ID...", type=Run(), nargs=-1, required=True)
def cancel(ids: tuple[Named, ...]) -> None:
    """Take back runs that wait, queued or parked; `tailrace runs retry` gives them back."""
    from streams.cli_database import with_database
    from streams.run_changes import cancel, change_all

    async def change(_: "Settings", engine: "AsyncEngine") -> int:
        return await change_all(engine, ids, "cancelled", cancel)

    sys.exit(1 if with_database("runs cancel", change) else 0)
