"""``tailrace status``: what can be reached, and how far it is behind."""

import asyncio
import logging
import sys

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for programs.")
def status(as_json: bool) -> None:
    """Show broker, database, mail server, lag, outbox and runs. Exits 1 if one of them is down."""
    from streams.runs_tables import show_whole
    from streams.settings import Settings, SettingsError
    from streams.status import read_status
    from streams.status_tables import as_json_text, tables

    try:
        settings = Settings.load()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    # What a client would log of a server that is away is said by the table, once and in full.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    found = asyncio.run(read_status(settings))
    if as_json:
        click.echo(as_json_text(found))
    else:
        for table in tables(found):
            show_whole(table)
            click.echo()
    sys.exit(0 if found.ok else 1)
