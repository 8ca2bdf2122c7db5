"""How runs are shown to people."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from streams.printable import printable
from streams.runs_listing import Facts

COLOURS = {"done": "green", "dead": "red", "running": "cyan", "cancelled": "dim", "skipped": "dim"}
WIDEST_REMARK = 60
WIDEST = 400


def print_runs(found: Sequence[Facts]) -> None:
    """One line a run; its name first, whole, so that it can be copied."""
    table = _table("run", "task", "queue", "state", "attempt", "started", "took", "remark")
    for run in found:
        table.add_row(
            run["run"],
            Text(printable(run["task"])),
            Text(printable(run["queue"])),
            _state(run["state"]),
            str(run["attempt"]),
            _at(run["started_at"]),
            _took(run["duration_ms"]),
            Text(_remark(run)),
        )
    if found:
        show_whole(table)


def print_run(run: Facts) -> None:
    """Every column that holds something."""
    table = _table("", "")
    for name, value in run.items():
        if value is not None and name != "id":
            table.add_row(Text(name, "dim"), _state(value) if name == "state" else Text(_shown(value)))
    show_whole(table)


def show_whole(table: Table) -> None:
    """Lines as long as they need be: a terminal wraps them, and a pipe gets them as they are."""
    console = Console()
    needed = Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
    console.width = max(console.width, needed)
    console.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", show_header=any(columns))
    for column in columns:
        table.add_column(column, no_wrap=column == "run", overflow="fold")
    return table


def _state(state: str) -> Text:
    return Text(state, COLOURS.get(state, ""))


def _at(instant: datetime | None) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%SZ") if instant else ""


def _took(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return f"{milliseconds} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.0f} s"


def _remark(run: Facts) -> str:
    """What a reader wants to know next: why, until when, or what came of it."""
    match run["state"]:
        case "queued" | "parked":
            text = f"due {_at(run['scheduled_for'])} {run['error'] or ''}"
        case "running":
            text = f"on {run['worker']}"
        case _:
            text = run["error"] or (msgspec.json.encode(run["outcome"]).decode() if run["outcome"] else "")
    line = printable(" ".join(text.split()))
    return line if len(line) <= WIDEST_REMARK else line[: WIDEST_REMARK - 1] + "…"


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    is_json = isinstance(value, dict | list)
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode() if is_json else str(value)
    return "\n".join(printable(line) for line in text.splitlines())
