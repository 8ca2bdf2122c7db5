"""How a status is shown: tables for people, one object for programs."""

from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from streams.status import Part, Status

STATES = ("done", "skipped", "running", "queued", "parked", "dead", "cancelled")


def as_json_text(found: Status) -> str:
    """One object: ``ok``, and for each part ``problem`` (null where it is well) and what is known of it."""
    parts = {"broker": found.broker, "database": found.database, "mail": found.mail}
    answer: dict[str, Any] = {"ok": found.ok}
    answer |= {name: {"problem": part.problem, **part.facts} for name, part in parts.items()}
    return msgspec.json.format(msgspec.json.encode(answer), indent=2).decode()


def tables(found: Status) -> list[Table]:
    """What a person reads, of what is known."""
    shown = [_parts(found)]
    if found.broker.facts.get("lag"):
        shown.append(_lag(found.broker.facts["lag"], found.broker.facts["dead_letters"]))
    if "runs" in found.database.facts:
        shown.append(_runs(found.database.facts["runs"]))
    return shown


def _table(title: str, *columns: str, numbers: int = 0) -> Table:
    """A table whose last ``numbers`` columns are numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        made.add_column(column, justify="right" if index >= len(columns) - numbers else "left", overflow="fold")
    return made


def _parts(found: Status) -> Table:
    table = _table("Tailrace", "part", "", "what")
    table.add_row("broker", _sign(found.broker), _broker(found.broker))
    table.add_row("database", _sign(found.database), _database(found.database))
    if "outbox" in found.database.facts:
        outbox = found.database.facts["outbox"]
        well = not outbox["set_aside"]
        table.add_row("outbox", Text("ok", "green") if well else Text("look", "yellow"), _outbox(outbox))
    table.add_row("mail", _sign(found.mail), Text(found.mail.problem or found.mail.facts["server"]))
    return table


def _sign(part: Part) -> Text:
    return Text("down", "bold red") if part.problem else Text("ok", "green")


def _broker(part: Part) -> Text:
    facts = part.facts
    return Text(part.problem or f"{', '.join(facts['brokers'])}, cluster {facts['cluster']}, all topics there")


def _database(part: Part) -> Text:
    facts = part.facts
    return Text(part.problem or f"PostgreSQL {facts['version']}, schema version {facts['schema']}")


def _outbox(outbox: dict[str, Any]) -> Text:
    parts = [f"{outbox['due']} to be sent", f"{outbox['later']} for later"]
    if outbox["due"]:
        parts.append(f"the oldest {outbox['oldest_seconds']:.0f} s late")
    if outbox["set_aside"]:
        parts.append(f"{outbox['set_aside']} set aside: see id, topic and error in tailrace.outbox")
    return Text(", ".join(parts))


def _lag(lag: list[dict[str, Any]], dead: dict[str, int]) -> Table:
    table = _table("Records not finished yet", "group", "topic", "lag", "dead letters", numbers=2)
    for row in lag:
        letters = dead.get(row["topic"], 0)
        table.add_row(row["group"], row["topic"], f"{row['lag']:,}", Text(f"{letters:,}", "red" if letters else "dim"))
    return table


def _runs(runs: list[dict[str, Any]]) -> Table:
    if not runs:
        return _table("No run in the last 24 hours; publish an event, e.g. with `tailrace publish`")
    table = _table("Runs of the last 24 hours", "task", *STATES, numbers=len(STATES))
    counts: dict[str, dict[str, int]] = {}
    for run in runs:
        counts.setdefault(run["task"], {})[run["state"]] = run["runs"]
    for task, states in counts.items():
        table.add_row(task, *(f"{states.get(state, 0):,}" for state in STATES))
    return table
