"""The instants of a schedule: by cron in a time zone, by an interval, or one."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from streams.schedules.clock_changes import LONGEST_GAP, first_change, local_time, offset_at

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
SOME_TIME = datetime(2026, 1, 1)  # noqa: DTZ001 - local time of no zone, to have an expression parsed
EVERY_HOUR = set(range(24))


class TimingError(ValueError):
    """It says no time; the message says how it is written."""


class Timing(Protocol):
    """When something is due."""

    def after(self, instant: datetime) -> Iterator[datetime]:
        """The instants later than this one, in order, in UTC; without end, or until there is none for 50 years."""


@dataclass(frozen=True)
class At:
    """Once."""

    instant: datetime

    def after(self, instant: datetime) -> Iterator[datetime]:
        if self.instant > instant:
            yield self.instant


@dataclass(frozen=True)
class Every:
    """By elapsed time: ``anchor``, and each whole number of intervals from it."""

    interval: timedelta
    anchor: datetime

    def after(self, instant: datetime) -> Iterator[datetime]:
        number = (instant - self.anchor) // self.interval + 1
        while True:
            yield self.anchor + number * self.interval
            number += 1


class Cron:
    """By what the clocks of a zone show. Two kinds of expression meet a change of the clocks differently:

    * Hours and minutes are given: once for each local time of each local day. A time that is shown twice counts
      the first time; one that is left out is made up for at the change, on the same local day.
    * ``*`` begins the hour or the minute, or each hour is in it: whenever the clocks show it, so by elapsed time.

    The library is asked for local times alone. With a zone it answers too early behind the second showing of an
    hour, leaves instants out where clocks move by half an hour, and takes a skipped evening for the next day.
    """

    def __init__(self, expression: str, zone: str = "UTC") -> None:
        """Raises ``TimingError``."""
        self.expression = expression
        self.zone = find_zone(zone)
        try:
            hours = CronSim(expression, SOME_TIME).hours
        except CronSimError as error:
            raise TimingError(
                f"cron {expression!r}: {str(error).lower()}; write minute, hour, day of month, month and "
                "day of week (0 is Sunday), e.g. '30 2 * * *' for 02:30 each day"
            ) from error
        minute, hour = expression.split()[-5:-3]
        self._once_a_day = not minute.startswith("*") and not hour.startswith("*") and hours != EVERY_HOUR

    def after(self, instant: datetime) -> Iterator[datetime]:
        return self._by_day(instant) if self._once_a_day else self._by_clock(instant)

    def _by_day(self, last: datetime) -> Iterator[datetime]:
        for local in CronSim(self.expression, local_time(self.zone, last)):
            found = self._instant_of(local)
            # A time that was left out can fall on another's instant, and `last` be in the second showing of an hour.
            if found is not None and found > last:
                last = found
                yield found

    def _instant_of(self, local: datetime) -> datetime | None:
        """When the clocks first show it, or the change that leaves it out; None where its whole day is left out."""
        instant = local.replace(tzinfo=self.zone, fold=0).astimezone(UTC)
        if local_time(self.zone, instant) == local:
            return instant
        change = first_change(self.zone, instant - LONGEST_GAP, instant)
        if change is None:
            return None
        # Where an evening is left out, the change is on the next day, which has a time of its own.
        same_day = (c for c in (change, change - MINUTE) if local_time(self.zone, c).date() == local.date())
        return next(same_day, None)

    def _by_clock(self, last: datetime) -> Iterator[datetime]:
        """Local times by the offset that holds, and anew from each change of it."""
        begin = local_time(self.zone, last)
        while True:
            offset = offset_at(self.zone, last)
            for local in CronSim(self.expression, begin):
                found = (local - offset).replace(tzinfo=UTC)
                change = first_change(self.zone, last, found)
                if change is not None:
                    last, begin = change, local_time(self.zone, change) - SECOND
                    break
                last = found
                yield found
            else:
                return


def find_zone(name: str) -> ZoneInfo:
    """The zone of this name. Raises ``TimingError`` with the nearest."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        nearest = difflib.get_close_matches(name, available_timezones(), n=1, cutoff=0)
        raise TimingError(f"there is no time zone {name!r}; the nearest is {nearest[0]}") from error
