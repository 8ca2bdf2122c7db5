"""What trends, in plain Python straight from uses by minute: no running totals, no caches, every tag on its own."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

Panes = Mapping[int, Mapping[str, int]]


class Expected(NamedTuple):
    tag: str
    uses: int
    observed: int
    baseline: float
    peak: float
    age: int
    score: float


def trends(panes: Panes, minute: int, hours: int, half_life: timedelta) -> list[Expected]:
    """Of the window of so many hours that ends with this minute, the highest score first."""
    tags = {tag for uses in panes.values() for tag in uses}
    found = (_trend(panes, tag, minute, hours, half_life.total_seconds()) for tag in tags)
    return sorted((trend for trend in found if trend), key=lambda trend: (-trend.score, trend.tag))


def _trend(panes: Panes, tag: str, minute: int, hours: int, half_life: float) -> Expected | None:
    present = minute // 60
    used = _used(panes, tag, minute - 59, minute)
    before = sum(
        _used(panes, tag, 60 * (hour - 24 * day), 60 * (hour - 24 * day) + 59) * share
        for hour, share in ((present, (minute % 60 + 1) / 60), (present - 1, 1 - (minute % 60 + 1) / 60))
        for day in range(1, 8)
    )
    candidates = [(used, max(1.0, before / 7), 0)]
    for hour in range(present - hours, present):
        total = sum(_used(panes, tag, 60 * (hour - 24 * day), 60 * (hour - 24 * day) + 59) for day in range(1, 8))
        in_hour = _used(panes, tag, 60 * hour, 60 * hour + 59)
        candidates.append((in_hour, max(1.0, total / 7), (minute + 1) * 60 - (hour + 1) * 3600))
    scored = [
        (0.5 ** (age / half_life) * (o - e) ** 2 / e, o, e, (o - e) ** 2 / e, age)
        for o, e, age in candidates
        if o >= 5 and o > e
    ]
    if not scored:
        return None
    score, observed, expected, peak, age = max(scored)
    first = minute - 59 if hours == 1 else minute - 359 if hours == 6 else (present - 23) * 60
    return Expected(tag, _used(panes, tag, first, minute), observed, expected, peak, age, score)


def _used(panes: Panes, tag: str, first: int, last: int) -> int:
    return sum(uses.get(tag, 0) for minute, uses in panes.items() if first <= minute <= last)
