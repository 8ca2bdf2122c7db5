"""What is remarkable about a day: how its counts differ from the day before, and which are far from the usual."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

COUNTED = ("posts", "comments", "likes", "shares", "follows", "new_users", "active_users")
"""What is compared; a day may lack some, where the backend has no table for it."""

WINDOW = 28
"""Days before it that a day is compared with: whole weeks, as weekends differ."""

ENOUGH = 7
"""Days that must be known; of fewer nobody can say what is usual."""

FAR = 3.5
"""A count so many spreads from the median is an outlier. Source: Iglewicz and Hoaglin, How to Detect Outliers, 1993."""

Counts = Mapping[str, Any]


def changes(today: Counts, yesterday: Counts | None) -> dict[str, Any]:
    """For each count of both days: the day before's, the difference, and that in per cent (None from nothing)."""
    if yesterday is None:
        return {}
    return {
        name: {
            "before": yesterday[name],
            "change": today[name] - yesterday[name],
            "percent": round(100 * (today[name] - yesterday[name]) / yesterday[name], 1) if yesterday[name] else None,
        }
        for name in COUNTED
        if name in today and name in yesterday
    }


def outliers(today: Counts, earlier: Sequence[Counts]) -> list[dict[str, Any]]:
    """The counts that are far from what was usual on ``earlier`` days, with the median and how many spreads away."""
    found = []
    for name in COUNTED:
        known = [counts[name] for counts in earlier if name in counts]
        if name not in today or len(known) < ENOUGH:
            continue
        usual = statistics.median(known)
        score = (today[name] - usual) / _spread(known, usual)
        if abs(score) >= FAR:
            found.append({"metric": name, "value": today[name], "usual": usual, "score": round(score, 1)})
    return found


def _spread(known: Sequence[int], usual: float) -> float:
    """The standard deviation as the median deviation tells it, which one odd day does not move; at least that of counts
    that come by chance, and at least 2, as a few more than none are nothing remarkable.
    """
    deviation = statistics.median(abs(count - usual) for count in known)
    return max(1.4826 * deviation, math.sqrt(usual), 2.0)
