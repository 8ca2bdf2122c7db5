"""``tailrace analytics``: what happened on a day."""

import sys
from datetime import date, datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from streams.data.stored_days import StoredDay
    from streams.settings import Settings


@click.group()
def analytics() -> None:
    """What happened on a day, by UTC."""


@analytics.command()
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="Else the newest there is.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for programs.")
def show(day: datetime | None, as_json: bool) -> None:
    """Show a day: its counts beside the day before, what is unusual, hours, top posts and tags."""
    from streams.cli_database import echo_json, with_database
    from streams.data.day_tables import print_day
    from streams.data.stored_days import as_json_object, find_day

    wanted = day.date() if day else None

    async def read(_: "Settings", engine: "AsyncEngine") -> "StoredDay | None":
        return await find_day(engine, wanted)

    found = with_database("analytics show", read)
    if found is None:
        sys.exit(f"tailrace analytics show: {_nothing(wanted)}")
    if as_json:
        echo_json(as_json_object(found))
    else:
        print_day(found)


def _nothing(day: date | None) -> str:
    if day is None:
        return "no day has been counted yet; `tailrace run generate_content_analytics` counts yesterday"
    return f"""{day} has not been counted; `tailrace run generate_content_analytics --args '{{"day": "{day}"}}'` does"""
