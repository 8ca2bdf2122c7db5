"""``tailrace enqueue`` and ``tailrace run``: work that somebody asks for by hand."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from streams.instants import parse_future, parse_instant

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from streams.enqueueing import Granted
    from streams.runs_listing import Facts
    from streams.settings import Settings
    from streams.task import Task

ARGS = click.option("--args", "args", default="{}", show_default=True, help="JSON object of arguments by name.")


@click.command()
@click.argument("task")
@ARGS
@click.option("--queue", help="Another queue than the task's own.")
@click.option("--at", "at", help="Not before this instant, e.g. 2026-03-04T12:00:00Z.")
@click.option("--in", "after", help="Not before so long from now, e.g. 90s.")
@click.option("--key", help="The same task and key are enqueued once, for as long as the ledger keeps the run.")
def enqueue(task: str, args: str, queue: str | None, at: str | None, after: str | None, key: str | None) -> None:
    """Put a run of TASK on its queue, and print the run's id."""
    from streams.cli_database import with_database
    from streams.enqueueing import Wish
    from streams.enqueueing import enqueue as put_on_queue
    from streams.queue_states import UnknownQueue, check_queue

    found, checked = _task_and_args("enqueue", task, args)
    try:
        wish = Wish(found, checked, check_queue(queue or found.queue), _due(at, after), key)
    except (UnknownQueue, ValueError) as error:
        sys.exit(f"tailrace enqueue: {error}")

    async def put(_: "Settings", engine: "AsyncEngine") -> "Granted":
        return await put_on_queue(engine, wish)

    granted = with_database("enqueue", put)
    click.echo(str(granted.run))
    if granted.state is None:
        when = f", due {wish.due_at.isoformat(timespec='seconds')}" if wish.due_at else ""
        click.echo(f"queued on {wish.queue}{when}", err=True)
    else:
        other = "" if granted.same_args else ", with other arguments"
        click.echo(f"exists already{other}: it is {granted.state}, and nothing was enqueued", err=True)


@click.command()
@click.argument("task")
@ARGS
def run(task: str, args: str) -> None:
    """Run TASK here and now, and print what came of it as JSON. Exits 1 unless it is done or had nothing to do."""
    from streams.cli_database import echo_json, with_database
    from streams.mail.signature import WrongKey
    from streams.mail.wording import WrongTemplate
    from streams.run_here import NotNow, run_here

    found, checked = _task_and_args("run", task, args)

    async def work(settings: "Settings", engine: "AsyncEngine") -> "Facts":
        return await run_here(settings, engine, found, checked)

    ended = with_database("run", work, refusals=(NotNow, WrongKey, WrongTemplate))
    echo_json({name: ended[name] for name in ("run", "task", "state", "outcome", "error", "duration_ms")})
    if said := _what_follows(ended):
        click.echo(said, err=True)
    sys.exit(0 if ended["state"] in ("done", "skipped") else 1)


def _what_follows(ended: "Facts") -> str | None:
    """Who deals with a run that has not come to its end here."""
    match ended["state"]:
        case "parked":
            due = ended["scheduled_for"].isoformat(timespec="seconds")
            return f"the workers try it again at {due}; `tailrace runs cancel {ended['run']}` prevents it"
        case "dead":
            return f"`tailrace runs retry {ended['run']}` gives it to the workers"
        case "running":
            return "its end could not be recorded: a worker has taken it over, or does when its lease has run out"
    return None


def _task_and_args(command: str, name: str, args: str) -> "tuple[Task, dict[str, object]]":
    from agents import TASKS
    from streams.task_arguments import UnknownTask, WrongArguments, find_task, parse_arguments

    try:
        task = find_task(TASKS, name)
        return task, parse_arguments(task, args)
    except (UnknownTask, WrongArguments) as error:
        sys.exit(f"tailrace {command}: {error}")


def _due(at: str | None, after: str | None) -> datetime | None:
    """The instant that one of them names. Raises ``ValueError``."""
    if at and after:
        raise ValueError("give --at or --in, not both")
    if at:
        return parse_instant(at)
    return parse_future(after, datetime.now(UTC)) if after else None
