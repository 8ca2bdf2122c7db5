"""How trends are shown to people."""

from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text

from streams.durations import format_duration
from streams.printable import printable
from streams.runs_tables import show_whole
from streams.trending.answers import Answer
from streams.trending.blocked import Blocked


def print_answer(answer: Answer) -> None:
    """The list, and how far it can be relied on."""
    if answer.as_of is None:
        click.echo("nothing has been counted yet: is a worker running?")
        return
    table = _table("tag", "uses", *(("score", "observed", "baseline", "peak", "ended") if answer.half_life else ()))
    if answer.half_life:
        for trend in answer.trends:
            age = f"{trend.age // 60} min ago" if trend.age else "now"
            numbers = (f"{trend.score:,.1f}", f"{trend.observed:,}", f"{trend.baseline:,.1f}", f"{trend.peak:,.1f}")
            table.add_row(_tag(trend.tag), f"{trend.uses:,}", *numbers, age)
    else:
        for tag, uses in answer.tags:
            table.add_row(_tag(tag), f"{uses:,}")
    show_whole(table)
    click.echo(_note(answer))


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
