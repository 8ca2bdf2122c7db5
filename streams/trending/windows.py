"""The running totals of each window: of minutes that are added once and subtracted once, and of hours."""

import heapq
from collections.abc import Collection
from datetime import timedelta

from streams.trending.delta import Panes

MINUTE_WINDOWS = {"5m": 5, "15m": 15, "1h": 60, "6h": 360}
"""Window -> minutes. They end with the present minute."""
HOUR_WINDOWS = {"24h": 24, "7d": 168}
"""Window -> hours. They end with the present hour."""
WINDOWS = {
    **{name: timedelta(minutes=count) for name, count in MINUTE_WINDOWS.items()},
    **{name: timedelta(hours=count) for name, count in HOUR_WINDOWS.items()},
}
LONGEST = max(MINUTE_WINDOWS.values())
MAX_TOP = 1000


class Top:
    """The tags with the most uses of some totals, worked out once for as long as the totals stand."""

    def __init__(self) -> None:
        self._known: dict[str, list[tuple[str, int]]] = {}
        self._hidden: Collection[str] = frozenset()

    def hide(self, tags: Collection[str]) -> None:
        """Leave these out from now on."""
        self._hidden = tags
        self.forget()

    def forget(self) -> None:
        """The totals have changed."""
        self._known.clear()

    def of(self, window: str, totals: dict[str, int], limit: int) -> list[tuple[str, int]]:
        """At most ``limit`` tags; of equal ones the first by name."""
        if window not in self._known:
            self._known[window] = self._without_hidden(_top(totals, MAX_TOP + len(self._hidden)))
        return self._known[window][:limit]

    def _without_hidden(self, top: list[tuple[str, int]]) -> list[tuple[str, int]]:
        return [item for item in top if item[0] not in self._hidden] if self._hidden else top


class MinuteWindows:
    """The counts of every window that ends with the minute ``now``; a minute is event time // 60 s."""

    def __init__(self, now: int) -> None:
        self.now = now
        self._panes: Panes = {}
        self.totals: dict[str, dict[str, int]] = {name: {} for name in MINUTE_WINDOWS}
        """Uses in each window, by tag."""
        self._top = Top()

    def hide(self, tags: Collection[str]) -> None:
        """Leave these tags out of every top from now on."""
        self._top.hide(tags)

    def span(self, window: str) -> tuple[int, int]:
        """First and last minute of the window."""
        return self.now - MINUTE_WINDOWS[window] + 1, self.now

    def add(self, panes: Panes) -> None:
        """Count uses of any minute, late ones too. Those ahead of now wait for their minute."""
        for minute, tags in panes.items():
            if minute <= self.now - LONGEST:
                continue
            pane = self._panes.setdefault(minute, {})
            _add(pane, tags)
            for window, total in self.totals.items():
                first, last = self.span(window)
                if first <= minute <= last:
                    _add(total, tags)
        self._top.forget()

    def advance(self, now: int) -> None:
        """Let the windows end with the minute ``now``. Time never goes back."""
        if now <= self.now:
            return
        for window, total in self.totals.items():
            first, last = self.span(window)
            for minute in range(first, min(now - MINUTE_WINDOWS[window] + 1, last + 1)):
                _subtract(total, self._panes.get(minute, {}))
            for minute in range(max(last + 1, now - MINUTE_WINDOWS[window] + 1), now + 1):
                _add(total, self._panes.get(minute, {}))
        self.now = now
        for minute in [minute for minute in self._panes if minute <= now - LONGEST]:
            del self._panes[minute]
        self._top.forget()

    def top(self, window: str, limit: int) -> list[tuple[str, int]]:
        """The tags with the most uses in the window."""
        return self._top.of(window, self.totals[window], limit)


class HourWindows:
    """The counts of every window that ends with the hour ``now``; an hour is event time // 3600 s.

    Made anew each hour, of the archived totals, and then added to: no hour has to be subtracted.
    """

    def __init__(self, now: int, totals: dict[str, dict[str, int]]) -> None:
        self.now = now
        self.totals = totals
        """Uses in each window, by tag."""
        self._top = Top()

    def hide(self, tags: Collection[str]) -> None:
        """Leave these tags out of every top from now on."""
        self._top.hide(tags)

    def add(self, panes: Panes) -> None:
        """Count uses, of minutes. Those after the present hour are in the totals of the next one."""
        for minute, tags in panes.items():
            for window, total in self.totals.items():
                if self.now - HOUR_WINDOWS[window] < minute // 60 <= self.now:
                    _add(total, tags)
        self._top.forget()

    def span(self, window: str) -> tuple[int, int]:
        """First and last hour of the window."""
        return self.now - HOUR_WINDOWS[window] + 1, self.now

    def top(self, window: str, limit: int) -> list[tuple[str, int]]:
        """The tags with the most uses in the window."""
        return self._top.of(window, self.totals[window], limit)


def _top(totals: dict[str, int], limit: int) -> list[tuple[str, int]]:
    """Selecting on plain integers first, and sorting only what can be in the answer, is five times as fast."""
    if len(totals) > limit:
        least = heapq.nlargest(limit, totals.values())[-1]
        candidates = [item for item in totals.items() if item[1] >= least]
    else:
        candidates = list(totals.items())
    return sorted(candidates, key=lambda item: (-item[1], item[0]))[:limit]


def _add(total: dict[str, int], tags: dict[str, int]) -> None:
    for tag, uses in tags.items():
        total[tag] = total.get(tag, 0) + uses


def _subtract(total: dict[str, int], tags: dict[str, int]) -> None:
    for tag, uses in tags.items():
        left = total[tag] - uses
        if left:
            total[tag] = left
        else:
            del total[tag]
