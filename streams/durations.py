"""Durations as people write them: 500ms, 30s, 5m, 1h, 7d."""

import re
from datetime import timedelta

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
PATTERN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_duration(text: str | timedelta) -> timedelta:
    """``"90s"`` -> 90 seconds. Raises ``ValueError`` that says what is expected."""
    if isinstance(text, timedelta):
        return text
    found = PATTERN.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a duration; write a number and ms, s, m, h or d, e.g. 30s")
    return timedelta(seconds=float(found[1]) * UNITS[found[2]])


def format_duration(duration: timedelta) -> str:
    """The shortest of the forms that ``parse_duration`` reads."""
    seconds = duration.total_seconds()
    for unit in ("d", "h", "m", "s"):
        if seconds >= UNITS[unit] and seconds % UNITS[unit] == 0:
            return f"{int(seconds // UNITS[unit])}{unit}"
    return f"{round(seconds * 1000)}ms"
