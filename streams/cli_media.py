"""``tailrace media``: which formats work here; pictures and videos of posts, made again."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from schemas.topics import QUEUE_BY_NAME

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from streams.settings import Settings


@click.group()
def media() -> None:
    """What is read and written, and pictures and videos made again."""


@media.command()
@click.option(
    "--where", "conditions", multiple=True, metavar="CONDITION", help="E.g. status=failed. Repeatable: all hold."
)
@click.option("--all", "everything", is_flag=True, help="Every asset there is.")
@click.option("--execute", is_flag=True, help="Put them on the queue. Without this they are only counted.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), default=5.0, show_default=True, help="Assets a second."
)
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@click.option(
    "--queue",
    type=click.Choice(list(QUEUE_BY_NAME)),
    default="maintenance",
    show_default=True,
    help="Where they wait; of another than media, so that uploads go first.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for programs.")
def reprocess(
    conditions: tuple[str, ...],
    everything: bool,
    execute: bool,
    rate: float,
    limit: int | None,
    queue: str,
    as_json: bool,
) -> None:
    """Count the assets that are meant, by kind and status; with --execute, have the workers make them again.

    Conditions are on status, kind, format, post, source, error and recipe with = and !=, and on updated with < and
    >= (an instant, or how long ago). recipe=outdated are those not made by today's recipes and formats.
    """
    from agents.process_media_upload import process_media_upload
    from streams.cli_database import echo_json, with_database
    from streams.media.asset_filter import EXAMPLE, WrongCondition, conditions_of
    from streams.media.reprocessing import Reprocessing, count_assets
    from streams.media.reprocessing import reprocess as put_on_queue

    if bool(conditions) == everything:
        raise click.UsageError(f"say which assets: --where with e.g. {EXAMPLE}, or --all")
    now = datetime.now(UTC)

    async def act(settings: "Settings", engine: "AsyncEngine") -> dict[str, Any]:
        wanted = conditions_of(conditions, settings.media.avif, lambda: now)
        found: dict[str, Any] = {"found": await count_assets(engine, wanted)}
        if execute:
            numbers = settings.backend.keys == "bigint"
            asked = Reprocessing(wanted, process_media_upload.name, queue, rate, numbers, limit)
            found["queued"], found["waiting_already"] = await put_on_queue(engine, asked, now)
        return found

    said = with_database("media reprocess", act, refusals=(WrongCondition,))
    echo_json(said) if as_json else _tell(said, queue, rate)


@media.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for programs.")
def formats(as_json: bool) -> None:
    """Try what this installation reads and writes. Exits 1 where something of it does not work."""
    import asyncio

    import msgspec

    from streams.cli_database import echo_json
    from streams.media.formats import probe_formats

    found = asyncio.run(probe_formats())
    if as_json:
        echo_json(msgspec.to_builtins(found))
    else:
        click.echo(f"reads   {', '.join(found.reads) or 'nothing'}")
        click.echo(f"writes  {', '.join(found.writes) or 'nothing'}")
        for name, problem in found.problems.items():
            click.echo(f"cannot {name}: {problem}", err=True)
    raise SystemExit(1 if found.problems else 0)


def _tell(said: dict[str, Any], queue: str, rate: float) -> None:
    for group in said["found"]:
        click.echo(f"{group['kind']:8}{group['status']:12}{group['assets']:>10,}")
    total = sum(group["assets"] for group in said["found"])
    if "queued" not in said:
        click.echo(f"{total:,} found; nothing is changed without --execute", err=True)
        return
    waiting = f", {said['waiting_already']:,} were waiting already" if said["waiting_already"] else ""
    click.echo(f"{said['queued']:,} put on {queue}, {rate:g} a second{waiting}", err=True)
