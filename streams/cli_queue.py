"""``tailrace queue``: the queues, what waits on them, and whether their runs start."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from streams.settings import Settings


@click.group()
def queue() -> None:
    """List, pause and resume queues."""


@queue.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for programs.")
def list_(as_json: bool) -> None:
    """Show each queue: priority, state, open runs, and commands that no worker has finished."""
    from streams.cli_database import echo_json, with_database
    from streams.queues_listing import read_queues
    from streams.queues_table import print_queues

    found = with_database("queue list", read_queues)
    if as_json:
        echo_json(found)
    else:
        print_queues(found["queues"])
    if found["problem"]:
        click.echo(f"what waits is not known: {found['problem']}", err=True)


@queue.command()
@click.argument("name")
@click.option("--reason", help="Shown by `queue list`.")
def pause(name: str, reason: str | None) -> None:
    """Start no run of this queue any more, on any worker. What runs ends; commands wait."""
    from streams.cli_database import with_database
    from streams.queue_states import UnknownQueue, pause

    async def change(_: "Settings", engine: "AsyncEngine") -> None:
        async with engine.begin() as connection:
            await pause(connection, name, reason)

    with_database("queue pause", change, refusals=(UnknownQueue,))
    click.echo(f"{name} is paused; `tailrace queue resume {name}` lets it run again")


@queue.command()
@click.argument("name")
def resume(name: str) -> None:
    """Start runs of this queue again."""
    from streams.cli_database import with_database
    from streams.queue_states import UnknownQueue, resume

    async def change(_: "Settings", engine: "AsyncEngine") -> bool:
        async with engine.begin() as connection:
            return await resume(connection, name)

    was_paused = with_database("queue resume", change, refusals=(UnknownQueue,))
    click.echo(f"{name} runs again" if was_paused else f"{name} was not paused")
