"""How trends are shown to people."""

from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from streams.durations import format_duration
from streams.printable import printable
from streams.runs_tables import show_whole
from streams.trending.answers import Answer
from streams.trending.blocked import Blocked
from streams.trending.questions import plain_trend


def print_answer(answer: Answer) -> None:
    """The list, and how far it can be relied on."""
    if answer.as_of is None:
        click.echo("nothing has been counted yet: is a worker running?")
        return
    if answer.half_life:
        _print_trends([plain_trend(trend) for trend in answer.trends])
    else:
        table = _table("tag", "uses")
        for tag, uses in answer.tags:
            table.add_row(_tag(tag), f"{uses:,}")
        show_whole(table)
    click.echo(_note(answer))


def print_hours(hours: Sequence[Mapping[str, Any]]) -> None:
    """A line an hour."""
    if not hours:
        click.echo(
            "no hour has been kept yet: `tailrace schedule show update_trending_hashtags` tells when the next is"
        )
        return
    table = _table("hour until", "tags", "complete", "top", numbers=False)
    for hour in hours:
        top = Text(", ".join(f"#{printable(tag)}" for tag in hour["top"]))
        table.add_row(f"{hour['as_of']:%Y-%m-%d %H:%M}Z", str(hour["tags"]), _yes(hour["complete"]), top)
    show_whole(table)


def print_one_hour(hour: Mapping[str, Any]) -> None:
    """The list of one hour."""
    _print_trends(hour["tags"])
    known = "complete" if hour["complete"] else "incomplete"
    click.echo(f"the hour until {hour['as_of']:%Y-%m-%d %H:%M}Z, taken at {hour['taken_at']:%H:%M:%S}Z, {known}")


def _print_trends(trends: Sequence[Mapping[str, Any]]) -> None:
    table = _table("tag", "uses", "score", "observed", "baseline", "peak", "ended")
    for trend in trends:
        age = f"{trend['age_s'] // 60} min before" if trend["age_s"] else "then"
        numbers = (f"{trend['score']:,.1f}", f"{trend['observed']:,}", f"{trend['baseline']:,.1f}")
        table.add_row(_tag(trend["tag"]), f"{trend['uses']:,}", *numbers, f"{trend['peak']:,.1f}", age)
    show_whole(table)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _note(answer: Answer) -> str:
    assert answer.as_of
    known = "complete" if answer.complete else "incomplete: some events are not counted yet, or are gone from the log"
    half = f"; a peak loses half in {format_duration(answer.half_life)}" if answer.half_life else ""
    span = f"{answer.start:%Y-%m-%d %H:%M}Z to {answer.end:%H:%M}Z"
    return f"{span}, as of {answer.as_of:%H:%M:%S}Z, {known}{half}"


def print_blocked(found: Sequence[Blocked]) -> None:
    """The blocked tags."""
    if not found:
        click.echo("no tag is blocked")
        return
    table = _table("tag", "since", "reason", numbers=False)
    for row in found:
        table.add_row(_tag(row.tag), f"{row.blocked_at:%Y-%m-%d %H:%M}Z", Text(printable(row.reason or "")))
    show_whole(table)


def _tag(tag: str) -> Text:
    return Text(f"#{printable(tag)}")


def _table(first: str, *others: str, numbers: bool = True) -> Table:
    table = Table(header_style="dim", box=None, pad_edge=False)
    table.add_column(first, overflow="fold")
    for column in others:
        table.add_column(column, justify="right" if numbers else "left", overflow="fold")
    return table
