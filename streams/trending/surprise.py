"""How surprising the uses of a tag in an hour are, and how that fades.

The baseline of an hour is the mean of the same hour of the 7 days before it, at least 1. The present hour is the
last 60 minutes; they lie in two hours of the clock, and its baseline is made of both, by minutes.
"""

from dataclasses import dataclass

DAYS = 7
LEAST = 5
"""Fewer uses in an hour surprise nobody."""


@dataclass(frozen=True)
class Trend:
    """Why a tag trends: in the hour that ended ``age`` seconds ago (0: the present one) it had ``observed`` uses
    against ``baseline``, which is worth ``peak``; faded since, it is worth ``score``. ``uses`` are those of the window.
    """

    tag: str
    uses: int
    observed: int
    baseline: float
    peak: float
    age: int
    score: float


def baseline(uses_of_seven_days: float) -> float:
    """What is expected of an hour whose 7 predecessors had so many uses together."""
    return max(1.0, uses_of_seven_days / DAYS)


def surprise(observed: int, expected: float) -> float:
    """``(o - e)^2 / e``; 0 where fewer than ``LEAST``, or no more than is expected."""
    if observed < LEAST or observed <= expected:
        return 0.0
    return (observed - expected) ** 2 / expected


def faded(peak: float, age: float, half_life: float) -> float:
    """What is left of a peak after ``age`` seconds."""
    return float(peak * 0.5 ** (age / half_life))
