"""How schedules are shown: tables for people, plain values for programs."""

import heapq
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from schemas.envelope import rfc3339
from streams.durations import format_duration
from streams.run_ids import RunId
from streams.schedules.schedule import Schedule
from streams.schedules.store import FIELDS
from streams.schedules.timing import TimingError, find_zone


class Coming(NamedTuple):
    """An instant that is still to come."""

    instant: datetime
    schedule: str
    zone: str

    def facts(self) -> dict[str, Any]:
        return {"schedule": self.schedule, "at": self.instant, "zone": self.zone, "local": self._local().isoformat()}

    def row(self) -> tuple[str, str, str]:
        return self.schedule, f"{self.instant:%Y-%m-%d %H:%M:%S}Z", f"{self._local():%a %Y-%m-%d %H:%M:%S %Z}"

    def _local(self) -> datetime:
        return self.instant.astimezone(find_zone(self.zone))


def coming(schedules: Sequence[Schedule], now: datetime, count: int) -> list[Coming]:
    """The next ``count`` instants of all of them together. One that is overdue comes first.

    Raises ``TimingError`` where one schedule is asked for whose timing is wrong; of several, it is left out.
    """
    merged = heapq.merge(*(_instants(schedule, now, alone=len(schedules) == 1) for schedule in schedules))
    return list(islice(merged, count))


def _instants(schedule: Schedule, now: datetime, *, alone: bool) -> Iterator[Coming]:
    try:
        find_zone(schedule.zone)
        timing, first = schedule.timing(), schedule.next_at or schedule.first_after(now)
    except TimingError:
        if alone:
            raise
        return
    if first is not None:
        for instant in chain([first], timing.after(first)):
            yield Coming(instant, schedule.name, schedule.zone)


def facts(schedule: Schedule) -> dict[str, Any]:
    """Every column, durations as people write them."""
    values = {name: getattr(schedule, name) for name in FIELDS}
    return {name: format_duration(v) if isinstance(v, timedelta) else v for name, v in values.items()}


def said(schedule: Schedule) -> str:
    """One line on what comes next."""
    if not schedule.enabled:
        return f"{schedule.name} is disabled"
    if schedule.next_at is None:
        return f"{schedule.name} is not due any more"
    local = "" if schedule.zone == "UTC" else f", {Coming(schedule.next_at, '', schedule.zone).row()[2]}"
    return f"{schedule.name} runs {schedule.task}, next at {rfc3339(schedule.next_at)}{local}"


def list_table(schedules: Sequence[Schedule]) -> Table:
    """Schedules, a line each."""
    table = _table("schedule", "task", "when", "state", "next (UTC)", "last (UTC)", "remark")
    for schedule in schedules:
        remark = Text(schedule.error or "", "red" if schedule.enabled else "dim")
        state = Text("on", "green") if schedule.enabled else Text("off", "dim")
        table.add_row(
            schedule.name, schedule.task, when(schedule), state, _at(schedule.next_at), _at(schedule.last_at), remark
        )
    return table


def schedule_table(schedule: Schedule) -> Table:
    """One schedule, all that is known of it."""
    table = _table("", "")
    for name, value in facts(schedule).items():
        if value is not None:
            table.add_row(Text(name, "dim"), Text(_shown(value)))
    return table


def history_table(runs: Sequence[dict[str, Any]]) -> Table:
    """The latest runs of one schedule."""
    table = _table("instant (UTC)", "state", "attempt", "started", "run", "remark")
    for run in runs:
        remark = run["error"] or (run["outcome"] or {}).get("reason", "")
        table.add_row(
            _at(run["caused_at"]),
            run["state"],
            str(run["attempt"]),
            _at(run["started_at"]),
            str(RunId(run["id"], run["caused_at"])),
            Text(" ".join(str(remark).split())),
        )
    return table


def coming_table(instants: Sequence[Coming]) -> Table:
    table = _table("schedule", "UTC", "local")
    for instant in instants:
        table.add_row(*instant.row())
    return table


def when(schedule: Schedule) -> str:
    """When it is due, in one phrase."""
    if schedule.every is not None:
        return f"every {format_duration(schedule.every)}"
    if schedule.at is not None:
        return f"at {rfc3339(schedule.at)}"
    return f"{schedule.cron} {schedule.zone}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _at(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}" if instant else ""


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return rfc3339(value)
    return json.dumps(value) if isinstance(value, dict | bool) else str(value)
