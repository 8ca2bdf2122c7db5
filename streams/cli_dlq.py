"""``tailrace dlq``: look at dead letters, send them again, throw them away."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from streams.cli_dlq_options import (
    AS_JSON,
    FILTERS,
    SELECTION,
    Selection,
    filter_of,
    opened,
    reporting,
    selection_of,
    with_options,
)
from streams.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streams.dead_letter import Letter
    from streams.dead_letter_topics import DeadLetterTopics


@click.group()
def dlq() -> None:
    """Dead letters: what could not be dealt with."""


@dlq.command("list")
@with_options(FILTERS)
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many.")
@click.option("--marked", is_flag=True, help="Those too that are redriven, superseded or purged.")
@AS_JSON
def list_letters(limit: int, marked: bool, as_json: bool, **options: Any) -> None:
    """List dead letters, newest first."""
    from streams.dead_letter_filter import Seen
    from streams.dead_letter_views import Newest, counts_line, list_as_json, list_table
    from streams.runs_tables import show_whole

    seen, newest = Seen(set(), set()), Newest(limit)
    with reporting("list") as settings:
        wanted = filter_of(**options)

        async def read() -> Any:
            async with opened(settings, wanted) as (topics, _):
                async for batch in topics.newest(wanted, seen, limit, with_marked=marked):
                    newest.add(batch)
                return await topics.counts()

        counts = asyncio.run(read())
    letters = newest.sorted()
    if as_json:
        click.echo(list_as_json(counts, letters))
        return
    click.echo(counts_line(counts))
    if letters:
        show_whole(list_table(letters, with_marks=marked))
    elif advice := seen.advice(wanted):
        click.echo(advice)


@dlq.command()
@click.argument("place", metavar="TOPIC:PARTITION:OFFSET")
@AS_JSON
def show(place: str, as_json: bool) -> None:
    """Show one dead letter: headers, bytes and stack."""
    from streams.dead_letter_filter import Filter, WrongLetter, place_named
    from streams.dead_letter_views import letter_as_json, letter_as_text

    with reporting("show") as settings:
        named = place_named(place)

        async def read() -> Any:
            async with opened(settings, Filter((named.topic,))) as (topics, _):
                async for batch in topics.at([named]):
                    return batch[0]
            raise WrongLetter(f"{named} was deleted just now")

        found = asyncio.run(read())
    click.echo(letter_as_json(found) if as_json else letter_as_text(found))


@dlq.command()
@with_options(SELECTION)
@click.option("--rate", type=click.IntRange(1), help="At most so many a second.")
@AS_JSON
def redrive(rate: int | None, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Send dead letters again: a command as the next attempt of its run, anything else as it came.

    Each is sent at most once, however often and by however many this is run. A line for each letter says what
    became of it; with --json these go to standard error.
    """
    with reporting("redrive") as settings:
        selection = selection_of(**options)
        counts = asyncio.run(_redrive(settings, selection, rate, dry_run=dry_run, told_as_errors=as_json))
    numbers = {what: counts[what] for what in ("redriven", "superseded", "marked")}
    if as_json:
        _print_json({"dry_run": dry_run, **numbers})
        return
    click.echo(
        f"{'would be ' if dry_run else ''}redriven: {numbers['redriven']:,}; their run had gone on without them: "
        f"{numbers['superseded']:,}; dealt with before: {numbers['marked']:,}"
    )
    _advise(selection, sum(numbers.values()))


async def _redrive(
    settings: Settings, selection: Selection, rate: int | None, *, dry_run: bool, told_as_errors: bool
) -> Counter[str]:
    from streams.clock import Clock
    from streams.redrive import Pace, redrive

    counts: Counter[str] = Counter()
    pace = Pace(rate, Clock().monotonic, asyncio.sleep) if rate else None
    async with opened(settings, selection.wanted) as (topics, engine):
        letters = _one_by_one(selection, topics)
        async for letter, answer in redrive(engine, letters, dry_run=dry_run, pace=pace):
            counts[answer.what] += 1
            click.echo(f"{letter.place} {_verb(answer.what, dry_run)}: {answer.text}", err=told_as_errors)
    return counts


def _verb(what: str, dry_run: bool) -> str:
    if what != "redriven":
        return "not redriven"
    return "would be redriven" if dry_run else "redriven"


async def _one_by_one(selection: Selection, topics: "DeadLetterTopics") -> "AsyncIterator[Letter]":
    async for batch in selection.batches(topics):
        for letter, _ in batch:
            yield letter


@dlq.command()
@with_options(SELECTION)
@AS_JSON
def purge(dry_run: bool, as_json: bool, **options: Any) -> None:
    """Throw dead letters away.

    They are marked, and not listed or redriven any more; Kafka deletes from the start of a topic only, so their
    bytes go when no older letter of their topic waits.
    """
    with reporting("purge") as settings:
        selection = selection_of(**options)
        purged, deleted = asyncio.run(_purge(settings, selection, dry_run=dry_run))
    if as_json:
        _print_json({"dry_run": dry_run, "purged": purged, "deleted": deleted})
        return
    click.echo(
        f"would be purged: {purged:,}"
        if dry_run
        else f"purged: {purged:,}; deleted from Kafka, with others that were dealt with: {deleted:,}"
    )
    _advise(selection, purged)


async def _purge(settings: Settings, selection: Selection, *, dry_run: bool) -> tuple[int, int]:
    from streams.dead_letter_purge import delete_marked, purge

    purged = 0
    async with opened(settings, selection.wanted) as (topics, engine):
        async for batch in selection.batches(topics):
            unmarked = [letter for letter, mark in batch if mark is None]
            purged += len(unmarked) if dry_run else await purge(engine, unmarked)
        return purged, 0 if dry_run else await delete_marked(settings.kafka, engine, topics)


def _advise(selection: Selection, found: int) -> None:
    advice = selection.seen.advice(selection.wanted)
    if not found and advice:
        click.echo(advice)


def _print_json(value: dict[str, object]) -> None:
    import msgspec

    click.echo(msgspec.json.encode(value).decode())
