"""``tailrace export`` and ``tailrace import``: events in files, for longer than Kafka keeps them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from streams.events_archive.exporting import Exported
    from streams.events_archive.importing import Imported
    from streams.settings import Settings

OPTIONS = click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="Of the store, e.g. region=eu-west-1. Repeatable."
)


@click.command()
@click.argument("topic")
@click.option("--from", "start", metavar="WHEN", help="2026-03-04T12:00:00Z, 24h ago as 24h, or offset:1200.")
@click.option("--to", "end", metavar="WHEN", help="Before this; by default all that lies there now.")
@click.option("--out", required=True, metavar="FOLDER|URL", help="A folder, or s3://bucket/prefix, gs:// or az://.")
@click.option("--format", "form", type=click.Choice(["jsonl", "parquet"]), default="jsonl", show_default=True)
@OPTIONS
def export(topic: str, start: str | None, end: str | None, out: str, form: str, options: Sequence[str]) -> None:
    """Write the records of TOPIC to files, with keys, headers and times. Repeated, it writes the same files."""
    from streams.cli_kafka import with_servers
    from streams.events_archive import exporting
    from streams.events_archive.places import place_named, told
    from streams.events_archive.records import WrongArchive
    from streams.replay.request import WrongReplay

    async def write(settings: "Settings", _: "AsyncEngine") -> "Exported":
        place = place_named(out, _pairs(options))
        with told(out):
            return await exporting.export(settings, place, topic, start, end, form, datetime.now(UTC))

    found = with_servers("export", write, refusals=(WrongArchive, WrongReplay))
    for gap in found.gaps:
        click.echo(f"GONE: offsets {gap.begin:,} to {gap.end - 1:,} of {topic} partition {gap.partition}", err=True)
    click.echo(f"{found.records:,} records of {topic} in {len(found.files):,} files under {out}")


@click.command("import")
@click.argument("event_type", metavar="TYPE")
@click.argument("source", metavar="FOLDER|URL")
@click.option("--clear", is_flag=True, help="Delete what earlier imports of this type have brought, first.")
@OPTIONS
def import_(event_type: str, source: str, clear: bool, options: Sequence[str]) -> None:
    """Bring exported events of TYPE back, into TYPE.imported, from where `tailrace replay` reads them."""
    from streams.cli_kafka import with_servers
    from streams.events_archive.importing import import_events
    from streams.events_archive.places import existing_place, told
    from streams.events_archive.records import WrongArchive

    async def read(settings: "Settings", _: "AsyncEngine") -> "Imported":
        place = existing_place(source, _pairs(options))
        with told(source):
            return await import_events(settings, place, event_type, clear=clear)

    found = with_servers("import", read, refusals=(WrongArchive,))
    click.echo(f"{found.records:,} records of {found.files:,} files lie in {found.topic}")
    click.echo(f"`tailrace replay plan {found.topic}` counts what a replay of them would do")


def _pairs(options: Sequence[str]) -> dict[str, str]:
    from streams.events_archive.records import WrongArchive

    found = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not (name and equals):
            raise WrongArchive(f"--option {option.partition('=')[0]!r}: write NAME=VALUE")
        found[name] = value
    return found
