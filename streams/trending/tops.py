"""The most used tags of each window, worked out after each round of a view and not while somebody waits for them."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from streams.trending.windows import MAX_TOP, MINUTE_WINDOWS, HourWindows, MinuteWindows


@dataclass(frozen=True)
class WindowTop:
    """The tags with the most uses in the event times [start, end), counted up to ``as_of``."""

    start: datetime
    end: datetime
    as_of: datetime | None
    tags: list[tuple[str, int]]


class Tops:
    """Those of the windows that were asked for."""

    def __init__(self) -> None:
        self._known: dict[str, WindowTop] = {}

    def of(self, window: str, minutes: MinuteWindows, hours: HourWindows, as_of: datetime | None) -> WindowTop:
        """What the last round prepared, unless the window has moved since, or was never asked for."""
        known = self._known.get(window)
        if known is None or known.end != _bounds(window, minutes, hours)[1]:
            known = self._known[window] = _top(window, minutes, hours, as_of)
        return known

    async def prepare(self, minutes: MinuteWindows, hours: HourWindows, as_of: datetime | None) -> None:
        """Bring them up to date, one after the other: between two, others have their turn."""
        for window in list(self._known):
            self._known[window] = _top(window, minutes, hours, as_of)
            await asyncio.sleep(0)


def _top(window: str, minutes: MinuteWindows, hours: HourWindows, as_of: datetime | None) -> WindowTop:
    tags = (minutes if window in MINUTE_WINDOWS else hours).top(window, MAX_TOP)
    return WindowTop(*_bounds(window, minutes, hours), as_of, tags)


def _bounds(window: str, minutes: MinuteWindows, hours: HourWindows) -> tuple[datetime, datetime]:
    (first, last), unit = (minutes.span(window), 60) if window in MINUTE_WINDOWS else (hours.span(window), 3600)
    return datetime.fromtimestamp(first * unit, UTC), datetime.fromtimestamp((last + 1) * unit, UTC)
