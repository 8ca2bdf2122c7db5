"""Uses by hour of the clock: of the last day, and what the same hours of the 7 days before them had together."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from streams.trending.delta import Panes
from streams.trending.surprise import DAYS

Uses = dict[str, int]

KEPT = 24
"""Full hours that are kept beside the present one: as far back as a peak is remembered."""


def kept_hours(now: int) -> range:
    """The hours that are kept while the present one is ``now``; an hour is event time // 3600 s."""
    return range(now - KEPT, now + 1)


def same_hours(hour: int) -> range:
    """The same hour of the 7 days before it."""
    return range(hour - 24 * DAYS, hour, 24)


@dataclass
class HourCounts:
    """By hour and tag: the uses ``observed``, and the uses ``before`` in its same hours, added up.

    Both are kept for the same hours. ``touched``: hours that have changed since somebody last emptied it.
    """

    observed: dict[int, Uses] = field(default_factory=dict)
    before: dict[int, Uses] = field(default_factory=dict)
    touched: set[int] = field(default_factory=set)

    def add(self, panes: Panes) -> None:
        """Count uses, of minutes, wherever they belong; late ones change what was before."""
        for minute, tags in panes.items():
            hour = minute // 60
            if hour in self.observed:
                self._add(self.observed, hour, tags)
            for later in range(hour + 24, hour + 24 * DAYS + 1, 24):
                if later in self.before:
                    self._add(self.before, later, tags)

    def missing(self, now: int) -> list[int]:
        """The hours that must be read before ``now`` can be the present one."""
        return [hour for hour in kept_hours(now) if hour not in self.observed]

    def turn(self, now: int, read: "HourCounts") -> None:
        """Let ``now`` be the present hour, with the missing hours as they were read; forget those that are not kept."""
        for counts, new in ((self.observed, read.observed), (self.before, read.before)):
            counts.update(new)
            for hour in [hour for hour in counts if hour not in kept_hours(now)]:
                del counts[hour]
        self.touched.update(kept_hours(now))

    def history(self, tag: str) -> Mapping[int, int]:
        """The tag's uses by hour."""
        return {hour: uses.get(tag, 0) for hour, uses in self.observed.items()}

    def _add(self, counts: dict[int, Uses], hour: int, tags: Uses) -> None:
        total = counts[hour]
        for tag, uses in tags.items():
            total[tag] = total.get(tag, 0) + uses
        self.touched.add(hour)
