"""``tailrace trends``: the trending counts."""

import click
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.cli_database import with_database
from streams.settings import Settings


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
