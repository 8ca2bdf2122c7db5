"""``tailrace trends``: the trending counts."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.cli_database import with_database
from streams.cli_kafka import with_servers
from streams.instants import parse_past
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.trending.rebuild import Comparison

SHOWN = 10


@click.group()
def trends() -> None:
    """The trending counts."""


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
            if not yes and not click.confirm("Put the new counts in place of the live ones?"):
                return None
            await candidate.swap()
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
