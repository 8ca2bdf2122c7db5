"""``tailrace schedule``: what runs when. Changes are taken up by all workers within a second or two."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from streams.cli_schedule_options import AS_JSON, PAST, given, schedule_fields

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from streams.schedules.schedule import Schedule
    from streams.settings import Settings

T = TypeVar("T")


def _with_database(command: str, action: "Callable[[AsyncEngine], Awaitable[T]]") -> T:
    from streams.cli_database import with_database
    from streams.schedules.schedule import REFUSALS
    from streams.schedules.store import UnknownSchedule

    async def act(_: "Settings", engine: "AsyncEngine") -> T:
        return await action(engine)

    return with_database(f"schedule {command}", act, refusals=(UnknownSchedule, *REFUSALS))


def _read(command: str, action: "Callable[[AsyncConnection], Awaitable[T]]") -> T:
    async def read(engine: "AsyncEngine") -> T:
        async with engine.connect() as connection:
            return await action(connection)

    return _with_database(command, read)


@click.group()
def schedule() -> None:
    """List, create, change and run schedules."""


@schedule.command("list")
@AS_JSON
def list_(as_json: bool) -> None:
    """List the schedules with their next and last instants."""
    from streams.cli_database import echo_json
    from streams.runs_tables import show_whole
    from streams.schedules import shown, store

    found = _read("list", store.all_schedules)
    if as_json:
        echo_json([shown.facts(each) for each in found])
    elif found:
        show_whole(shown.list_table(found))
    else:
        click.echo("there is no schedule; a worker adds the defaults when it starts")


@schedule.command()
@click.argument("name")
@click.option("-n", "count", type=click.IntRange(0, 10_000), default=10, show_default=True, help="So many runs.")
@AS_JSON
def show(name: str, count: int, as_json: bool) -> None:
    """Show one schedule and its latest runs."""
    from streams.cli_database import echo_json
    from streams.runs_tables import show_whole
    from streams.schedules import shown, store

    async def read(connection: "AsyncConnection") -> "tuple[Schedule, list[dict[str, Any]]]":
        found = await store.find_schedule(connection, name)
        return found, await store.history(connection, name, count)

    found, runs = _read("show", read)
    if as_json:
        echo_json({**shown.facts(found), "runs": runs})
        return
    show_whole(shown.schedule_table(found))
    if runs:
        click.echo()
        show_whole(shown.history_table(runs))


@schedule.command("next")
@click.argument("name", required=False)
@click.option("-n", "count", type=click.IntRange(1, 10_000), default=10, show_default=True, help="So many instants.")
@AS_JSON
def next_(name: str | None, count: int, as_json: bool) -> None:
    """Show the next instants of schedule NAME, or of all that are enabled, in UTC and in the schedule's zone."""
    from streams.cli_database import echo_json
    from streams.runs_tables import show_whole
    from streams.schedules import shown, store

    async def read(connection: "AsyncConnection") -> "tuple[list[Schedule], list[shown.Coming]]":
        found = [await store.find_schedule(connection, name)] if name else await store.all_schedules(connection)
        asked = [each for each in found if each.enabled or name]
        return asked, shown.coming(asked, await store.clock(connection), count)

    asked, instants = _read("next", read)
    if as_json:
        echo_json([instant.facts() for instant in instants])
    elif instants:
        show_whole(shown.coming_table(instants))
    else:
        click.echo("nothing is to come")
    if name and not asked[0].enabled:
        click.echo(f"{name} is disabled; `tailrace schedule enable {name}` lets it run", err=True)


@schedule.command()
@click.argument("name")
@schedule_fields
@click.option("--disabled", is_flag=True, help="Keep it disabled until `tailrace schedule enable`.")
def create(name: str, disabled: bool, **chosen: Any) -> None:
    """Create schedule NAME: give --task and one of --cron, --every and --at."""
    from agents import TASKS
    from streams.schedules import shown, store

    if chosen["task"] is None:
        raise click.UsageError(f"--task is missing; the tasks are {', '.join(sorted(task.name for task in TASKS))}")
    fields = {**given(chosen), "name": name, "enabled": not disabled}
    click.echo(shown.said(_with_database("create", lambda engine: store.create(engine, TASKS, fields))))


@schedule.command()
@click.argument("name")
@schedule_fields
def edit(name: str, **chosen: Any) -> None:
    """Change what is given of schedule NAME. A change of its times goes on with the first instant from now on."""
    from agents import TASKS
    from streams.schedules import shown, store

    changes = given(chosen)
    if not changes:
        raise click.UsageError("say what to change, e.g. --cron '30 2 * * *'")
    click.echo(shown.said(_with_database("edit", lambda engine: store.edit(engine, TASKS, name, changes))))


@schedule.command()
@click.argument("name")
def enable(name: str) -> None:
    """Let schedule NAME run, from its first instant from now on."""
    from agents import TASKS
    from streams.schedules import shown, store

    click.echo(shown.said(_with_database("enable", lambda engine: store.enable(engine, TASKS, name))))


@schedule.command()
@click.argument("name")
def disable(name: str) -> None:
    """Let nothing of schedule NAME fall due any more."""
    from streams.schedules import shown, store

    click.echo(shown.said(_with_database("disable", lambda engine: store.disable(engine, name))))


@schedule.command()
@click.argument("name")
def delete(name: str) -> None:
    """Delete schedule NAME; its runs stay in the ledger. A default does not come back."""
    from streams.schedules import store

    _with_database("delete", lambda engine: store.delete(engine, name))
    click.echo(f"{name} is deleted")


@schedule.command("run-now")
@click.argument("name")
def run_now(name: str) -> None:
    """Order one run of schedule NAME at once, enabled or not, beside those of its instants."""
    from agents import TASKS
    from streams.run_ids import RunId
    from streams.schedules import backfill

    command = _with_database("run-now", lambda engine: backfill.run_now(engine, TASKS, name))
    click.echo(f"{command.task} is on its queue as run {RunId(command.id, command.caused_at)}")


@schedule.command("backfill")
@click.argument("name")
@click.option("--from", "begin", type=PAST, required=True, help="Instants at or after this, or how long ago: 7d.")
@click.option("--to", "end", type=PAST, required=True, help="Instants before this, or how long ago: 0s.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@AS_JSON
def backfill_(name: str, begin: datetime, end: datetime, dry_run: bool, as_json: bool) -> None:
    """Run the instants of schedule NAME in a time that is past, those that have not run yet.

    Policies do not matter: an instant that was missed or skipped is run. Instants to come are left to the timer.
    """
    from agents import TASKS
    from streams.cli_database import echo_json
    from streams.schedules import backfill

    found = _with_database(
        "backfill", lambda engine: backfill.backfill(engine, TASKS, name, begin, end, dry_run=dry_run)
    )
    if as_json:
        echo_json(found)
        return
    verb = "would be submitted" if dry_run else "submitted"
    span = f", from {found.first:%Y-%m-%d %H:%M:%S}Z to {found.last:%Y-%m-%d %H:%M:%S}Z" if found.first else ""
    click.echo(f"{found.submitted} runs {verb}, {found.already_run} instants had run already{span}")
