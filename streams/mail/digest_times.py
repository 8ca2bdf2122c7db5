"""When a week's digest is due: Monday at nine, where the user is.

The week is named as ISO 8601 has it, ``2026-W48``, and is that of the Monday.
"""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

NINE = time(9)
FIRST_ZONE_AHEAD = timedelta(hours=15)
"""It is Monday, nine o'clock, in the first zone of the world 14 hours before it is in UTC. An hour more to begin."""

TOO_LATE = timedelta(days=6)
"""After its Monday no digest of a week goes out any more: the next one is at hand."""

WEEK = re.compile(r"(\d{4})-W(\d{2})")


def week_of(instant: datetime) -> str:
    """The week whose digests begin to be ordered at this instant."""
    year, week, _ = (instant.astimezone(UTC) + FIRST_ZONE_AHEAD).isocalendar()
    return f"{year}-W{week:02}"


def due(week: str, zone: tzinfo | None) -> datetime:
    """That Monday, nine o'clock in the zone, else in UTC. Raises ``ValueError`` where it is no week."""
    found = WEEK.fullmatch(week)
    try:
        monday = date.fromisocalendar(int(found[1]), int(found[2]), 1) if found else None
    except ValueError:
        monday = None
    if monday is None:
        raise ValueError(f"{week!r} is no week; write one as 2026-W48")
    return datetime.combine(monday, NINE, tzinfo=zone or UTC).astimezone(UTC)


def zone_of(name: str | None) -> ZoneInfo | None:
    """The zone of this name; None where there is none: people write many things into such a column."""
    try:
        return ZoneInfo(name.strip()) if name and name.strip() else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
