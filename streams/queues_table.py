"""How queues are shown to people."""

from collections.abc import Iterable
from typing import Any

from rich.table import Table
from rich.text import Text

from streams.printable import printable
from streams.run_filter import OPEN
from streams.runs_tables import show_whole


def print_queues(queues: Iterable[dict[str, Any]]) -> None:
    """One line a queue."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("queue", "priority", "state", *OPEN, "waiting commands", "since", "reason"):
        table.add_column(column, justify="right" if column in ("priority", *OPEN, "waiting commands") else "left")
    for queue in queues:
        table.add_row(
            queue["name"],
            str(queue["priority"]),
            _state(queue),
            *(f"{queue['runs'][state]:,}" for state in OPEN),
            "?" if queue["waiting"] is None else f"{queue['waiting']:,}",
            queue["since"].strftime("%Y-%m-%d %H:%M:%SZ") if queue["since"] else "",
            Text(printable(queue["reason"] or "")),
        )
    show_whole(table)


def _state(queue: dict[str, Any]) -> Text:
    if not queue["paused"]:
        return Text("runs", "green")
    return Text("paused by a worker", "bold red") if queue["automatic"] else Text("paused", "yellow")
