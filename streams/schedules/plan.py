"""What becomes of the instants that are due: the policies for missed and for overlapping ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from schemas.envelope import rfc3339
from streams.schedules.schedule import Schedule

AT_ONCE = 500
"""Instants that one transaction deals with: an outage of years neither fills the memory nor holds locks for long."""


@dataclass(frozen=True)
class Due:
    """One instant that is due. ``skipped``: why it does not run, or None where it does."""

    instant: datetime
    skipped: str | None


@dataclass(frozen=True)
class Plan:
    """``dues`` are dealt with now; ``next_at`` is the instant behind them, which is due too if ``more``."""

    dues: list[Due]
    next_at: datetime | None
    more: bool


def plan(schedule: Schedule, now: datetime, grace: timedelta, open_since: datetime | None) -> Plan:
    """What to do about the instants from ``next_at`` until ``now``; ``open_since`` is the oldest instant whose run
    has not ended.

    An instant later than ``grace`` has been missed. Under `run_once` the newest of those that are due stands for
    the missed ones.
    """
    instants, following = _due(schedule, now)
    more = following is not None and following <= now
    newest = None if more or not instants else instants[-1]
    dues = []
    for instant in instants:
        skipped = _missed(schedule, instant, now, grace, newest) or _overlapping(schedule, instant, open_since)
        if skipped is None:
            open_since = min(open_since or instant, instant)
        dues.append(Due(instant, skipped))
    return Plan(dues, following, more)


def _due(schedule: Schedule, now: datetime) -> tuple[list[datetime], datetime | None]:
    """Those of one transaction, and the one behind them."""
    found: list[datetime] = []
    for instant in _from_next(schedule):
        if instant > now or len(found) == AT_ONCE:
            return found, instant
        found.append(instant)
    return found, None


def _from_next(schedule: Schedule) -> Iterator[datetime]:
    if schedule.next_at is None:
        return iter(())
    return chain([schedule.next_at], schedule.timing().after(schedule.next_at))


def _missed(
    schedule: Schedule, instant: datetime, now: datetime, grace: timedelta, newest: datetime | None
) -> str | None:
    late = now - instant
    if late <= grace or schedule.misfire == "run_all":
        return None
    missed = f"missed by {timedelta(seconds=round(late.total_seconds()))}"
    if schedule.misfire == "skip":
        return f"{missed} (misfire skip)"
    return None if instant == newest else f"{missed}; a later instant runs for it (misfire run_once)"


def _overlapping(schedule: Schedule, instant: datetime, open_since: datetime | None) -> str | None:
    if schedule.overlap == "allow" or open_since is None or open_since >= instant:
        return None
    return f"the run of {rfc3339(open_since)} has not ended (overlap skip)"
