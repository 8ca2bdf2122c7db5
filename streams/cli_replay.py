"""``tailrace replay``: process events again that lie in their topics."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from streams.cli_replay_options import AS_JSON, request_of, with_request

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from streams.replay.planning import Plan
    from streams.replay.store import Facts
    from streams.settings import Settings

T = TypeVar("T")


@click.group()
def replay() -> None:
    """Process events again: what was never done, or all of it with fixed code."""


@replay.command()
@with_request
@AS_JSON
def plan(as_json: bool, **options: Any) -> None:
    """Count what a replay of TOPIC would do: events, commands, what is done already, mails. Nothing is changed."""
    from agents import TASKS
    from streams.replay.planning import plan_replay

    request = request_of("plan", options)

    async def count(settings: "Settings", engine: "AsyncEngine") -> "Plan":
        return await plan_replay(settings, engine, TASKS, request, datetime.now(UTC))

    _print_plan(_act("plan", count), as_json)


@replay.command()
@with_request
@click.option("--execute", is_flag=True, help="Start it. Without this only the plan is shown.")
@click.option("--wait", is_flag=True, help="Return when it has ended, and every run of it.")
@AS_JSON
def start(execute: bool, wait: bool, as_json: bool, **options: Any) -> None:
    """Start a replay of TOPIC, which the workers read beside their live work."""
    from agents import TASKS
    from streams.cli_database import echo_json
    from streams.replay.planning import plan_replay
    from streams.replay.shown import plan_facts
    from streams.replay.starting import start_replay
    from streams.replay.store import somebody

    request = request_of("start", options)

    async def begin(settings: "Settings", engine: "AsyncEngine") -> "tuple[int | None, Plan]":
        now = datetime.now(UTC)
        if not execute:
            return None, await plan_replay(settings, engine, TASKS, request, now)
        return await start_replay(settings, engine, TASKS, request, now, somebody())

    number, found = _act("start", begin)
    ended = _act("start", lambda _, engine: _ended(engine, number)) if wait and number is not None else None
    if as_json:
        echo_json({"replay": number, "plan": plan_facts(found), "status": ended})
        return
    _print_plan(found, as_json=False)
    if number is None:
        click.echo("nothing was started; --execute starts it")
    elif ended:
        _print_status(ended)
    else:
        click.echo(f"replay {number} has started; `tailrace replay status {number}` shows how far it is")


@replay.command()
@click.argument("number", metavar="[ID]", type=int, required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many.")
@AS_JSON
def status(number: int | None, limit: int, as_json: bool) -> None:
    """Show one replay, or the latest: how far it is, its counts and runs, what is gone, who did what."""
    from streams.cli_database import echo_json
    from streams.replay import shown, store
    from streams.runs_tables import show_whole

    async def read(_: "Settings", engine: "AsyncEngine") -> "Sequence[Facts]":
        async with engine.connect() as connection:
            if number is not None:
                return [await store.show_replay(connection, number)]
            return await store.list_replays(connection, limit)

    found = _act("status", read)
    if as_json:
        echo_json(found[0] if number is not None else found)
    elif number is not None:
        _print_status(found[0])
    elif found:
        show_whole(shown.list_table(found))
    else:
        click.echo("there is no replay yet")


@replay.command()
@click.argument("number", metavar="ID", type=int)
def pause(number: int) -> None:
    """Read no further. Runs that are on their queues go on."""
    _change("pause", number)
    click.echo(f"replay {number} is paused; `tailrace replay resume {number}` goes on")


@replay.command()
@click.argument("number", metavar="ID", type=int)
def resume(number: int) -> None:
    """Go on with a paused or failed replay, where it stands."""
    _change("resume", number)
    click.echo(f"replay {number} goes on")


@replay.command()
@click.argument("number", metavar="ID", type=int)
def cancel(number: int) -> None:
    """End a replay for good. Its runs that have not started do not start."""
    cancelled = _change("cancel", number)
    click.echo(f"replay {number} is cancelled, with {cancelled:,} runs of it that had not started")


def _change(what: str, number: int) -> int:
    from streams.replay import store

    return _act(what, lambda _, engine: store.change(engine, number, what, store.somebody()))


def _act(command: str, action: "Callable[[Settings, AsyncEngine], Awaitable[T]]") -> T:
    from streams.cli_kafka import with_servers
    from streams.replay.request import WrongReplay

    return with_servers(f"replay {command}", action, refusals=(WrongReplay,))


async def _ended(engine: "AsyncEngine", number: int) -> "Facts":
    """The replay when it has ended, and its runs too."""
    import asyncio

    from streams.replay import store
    from streams.run_filter import OPEN

    while True:
        async with engine.connect() as connection:
            found = await store.show_replay(connection, number)
        if found["state"] != "running" and not any(found["runs"].get(state) for state in OPEN):
            return found
        await asyncio.sleep(0.25)


def _print_plan(found: "Plan", as_json: bool) -> None:
    from streams.cli_database import echo_json
    from streams.replay.shown import plan_facts, plan_lines

    if as_json:
        echo_json(plan_facts(found))
        return
    for line in plan_lines(found):
        click.echo(line)


def _print_status(found: "Facts") -> None:
    from streams.replay.shown import status_lines

    for line in status_lines(found, datetime.now(UTC)):
        click.echo(line)
