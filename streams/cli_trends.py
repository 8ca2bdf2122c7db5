"""``tailrace trends``: the trending counts."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.cli_database import echo_json, with_database
from streams.cli_kafka import with_servers
from streams.instants import parse_instant, parse_past
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.trending.answers import Answer
    from streams.trending.comparison import Comparison
    from streams.trending.store import Gap

SHOWN = 10


@click.group()
def trends() -> None:
    """The trending counts."""


@trends.command()
@click.argument("tag")
@click.option("--reason", help="Shown by `trends blocked`.")
def block(tag: str, reason: str | None) -> None:
    """Never show TAG, on any server, within two seconds. It is counted all the same."""
    from streams.trending.blocked import NoTag, block, checked_tag

    async def change(_: Settings, engine: AsyncEngine) -> str:
        checked = checked_tag(tag)
        async with engine.begin() as connection:
            await block(connection, checked, reason)
        return checked

    blocked = with_database("trends block", change, refusals=(NoTag,))
    click.echo(f"#{blocked} is not shown any more; `tailrace trends unblock {blocked}` shows it again")


@trends.command()
@click.argument("tag")
def unblock(tag: str) -> None:
    """Show TAG again."""
    from streams.trending.blocked import NoTag, checked_tag, unblock

    async def change(_: Settings, engine: AsyncEngine) -> tuple[str, bool]:
        checked = checked_tag(tag)
        async with engine.begin() as connection:
            return checked, await unblock(connection, checked)

    unblocked, was_blocked = with_database("trends unblock", change, refusals=(NoTag,))
    click.echo(f"#{unblocked} is shown again" if was_blocked else f"#{unblocked} was not blocked")


@trends.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array for programs.")
def blocked(as_json: bool) -> None:
    """List the tags that are never shown."""
    from streams.trending.blocked import Blocked, list_blocked
    from streams.trends_tables import print_blocked

    async def read(_: Settings, engine: AsyncEngine) -> list[Blocked]:
        async with engine.connect() as connection:
            return await list_blocked(connection)

    found = with_database("trends blocked", read)
    if as_json:
        echo_json([row._asdict() for row in found])
    else:
        print_blocked(found)


@trends.command()
@click.option("--window", default="1h", show_default=True, help="One of 5m, 15m, 1h, 6h, 24h, 7d.")
@click.option("--rank", type=click.Choice(["count", "trending"]), default="count", show_default=True)
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print what GET /api/v1/trends/tags answers.")
def show(window: str, rank: str, limit: int, as_json: bool) -> None:
    """Show the top tags, as a server would. Needs the database and no server."""
    from streams.trending.questions import Question, WrongQuestion, as_plain, ask
    from streams.trending.view import View
    from streams.trends_tables import print_answer

    async def read(settings: Settings, engine: AsyncEngine) -> "Answer":
        view = View(engine, half_life=settings.trending.half_life)
        await view.refresh()
        return ask(view, Question.checked(window, rank, limit))

    found = with_database("trends show", read, refusals=(WrongQuestion,))
    if as_json:
        echo_json(as_plain(found))
    else:
        print_answer(found)


@trends.command()
@click.option("--at", "at", metavar="WHEN", help="The list of this full hour, e.g. 2026-03-04T12:00:00Z.")
@click.option("--limit", type=click.IntRange(1, 1000), default=24, show_default=True, help="Latest hours listed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def snapshots(at: str | None, limit: int, as_json: bool) -> None:
    """List the hours whose trends were kept, or show what trended in one of them."""
    from streams.trending.past_snapshots import NoSnapshot, latest_hours, one_hour
    from streams.trends_tables import print_hours, print_one_hour

    try:
        hour = parse_instant(at) if at else None
    except ValueError as error:
        raise click.UsageError(f"--at: {error}") from error

    async def read(_: Settings, engine: AsyncEngine) -> "list[dict[str, Any]] | dict[str, Any]":
        return await one_hour(engine, hour) if hour else await latest_hours(engine, limit)

    found = with_database("trends snapshots", read, refusals=(NoSnapshot,))
    if as_json:
        echo_json(found)
    elif isinstance(found, dict):
        print_one_hour(found)
    else:
        print_hours(found)


@trends.command()
def restart() -> None:
    """Begin a new generation of counts at the start of the topics, e.g. after a topic was made anew."""
    from streams.trending.sql import NEXT_GENERATION

    async def advance(_: Settings, engine: AsyncEngine) -> int:
        async with engine.begin() as connection:
            return int((await connection.execute(NEXT_GENERATION)).scalar_one())

    generation = with_database("trends restart", advance)
    click.echo(f"generation {generation} is live; the workers count it from the start of the topics")


@trends.command()
@click.option("--from", "since", default="8d", show_default=True, metavar="WHEN", help="Count what is as late as this.")
@click.option("--yes", is_flag=True, help="Put the new counts in place without asking.")
def rebuild(since: str, yes: bool) -> None:
    """Count the topics anew beside the live counts, compare both, and swap them if you say so.

    The live counts go on meanwhile, and answers have no gap. Nothing is swapped unless you confirm it.
    """
    from streams.trending.rebuild import NotRebuilt, open_rebuild

    try:
        begin = parse_past(since, datetime.now(UTC))
    except ValueError as error:
        raise click.UsageError(f"--from: {error}") from error

    async def count(settings: Settings, engine: AsyncEngine) -> int | None:
        async with open_rebuild(settings, engine, begin) as candidate:
            comparison = await candidate.compare(begin)
            click.echo(f"{candidate.events:,} events were counted as generation {candidate.generation}")
            _print_comparison(comparison)
            _print_lost(candidate.lost)
            known = len(candidate.lost)
            if not yes and not click.confirm("Put the new counts in place of the live ones?"):
                return None
            await candidate.swap()
            _print_lost(candidate.lost[known:])
            return candidate.generation

    generation = with_servers("trends rebuild", count, refusals=(NotRebuilt,))
    click.echo("nothing was changed" if generation is None else f"generation {generation} is live")


def _print_comparison(found: "Comparison") -> None:
    click.echo(
        f"uses in whole hours since {found.since:%Y-%m-%d %H:%M}Z: {found.live:,} in the live counts, "
        f"{found.candidate:,} in the new ones; {found.same:,} counts of a tag in an hour are the same, "
        f"{len(found.different):,} differ"
    )
    for hour, tag, live, candidate in found.different[:SHOWN]:
        click.echo(f"  {hour:%Y-%m-%d %H}h #{tag}: {live:,} -> {candidate:,}")


def _print_lost(lost: "Sequence[Gap]") -> None:
    """What retention has taken, and what comes of it."""
    for gap in lost:
        click.echo(
            f"GONE: offsets {gap.start:,} to {gap.end - 1:,} of {gap.source}, taken by retention: of the new counts, "
            f"answers that reach back before {gap.until:%Y-%m-%d %H:%M}Z say that they are incomplete"
        )
