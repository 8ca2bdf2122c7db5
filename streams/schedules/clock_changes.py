"""When the clocks of a time zone change: daylight saving, and what governments decree."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

PROBE = timedelta(hours=12)
"""No zone has changed its clocks and changed them back within so short a time."""

LONGEST_GAP = timedelta(hours=25)
"""Nowhere have clocks been put forward by more than a day."""


def local_time(zone: ZoneInfo, instant: datetime) -> datetime:
    """What the clocks of the zone show at the instant, without a zone."""
    return instant.astimezone(zone).replace(tzinfo=None)


def offset_at(zone: ZoneInfo, instant: datetime) -> timedelta:
    """How far the clocks of the zone are ahead of UTC."""
    return instant.astimezone(zone).utcoffset() or timedelta()


def first_change(zone: ZoneInfo, after: datetime, until: datetime) -> datetime | None:
    """The first change of the zone's clocks that is later than ``after`` and not later than ``until``."""
    for year in range(after.astimezone(UTC).year, until.astimezone(UTC).year + 1):
        for change in changes_in(zone, year):
            if after < change <= until:
                return change
    return None


@lru_cache(maxsize=4096)
def changes_in(zone: ZoneInfo, year: int) -> tuple[datetime, ...]:
    """The instants of a year of UTC at which the zone's clocks are changed; the new offset holds from each on.

    ``zoneinfo`` does not tell them, so they are looked for.
    """
    found, instant, end = [], datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    while instant < end:
        if offset_at(zone, instant) != offset_at(zone, instant + PROBE):
            found.append(_between(zone, instant, instant + PROBE))
        instant += PROBE
    return tuple(found)


def _between(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The second at which the offset of ``before`` ceases to hold."""
    old, second = offset_at(zone, before), timedelta(seconds=1)
    while after - before > second:
        middle = before + (after - before) // second // 2 * second
        if offset_at(zone, middle) == old:
            before = middle
        else:
            after = middle
    return after
