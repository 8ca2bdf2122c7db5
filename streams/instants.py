"""Instants as people write them."""

from datetime import UTC, datetime

from streams.durations import PATTERN, parse_duration


def parse_instant(text: str) -> datetime:
    """``"2026-03-04T12:00:00Z"`` -> the instant, in UTC. Raises ``ValueError`` that says what is expected."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"{text!r} is not an instant; write e.g. 2026-03-04T12:00:00Z") from error
    if found.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write Z for UTC or an offset, e.g. 2026-03-04T12:00:00Z")
    try:
        return found.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is beyond the calendar") from error


def parse_past(text: str, now: datetime) -> datetime:
    """An instant, or how long before ``now`` it lies, e.g. ``24h``. Raises ``ValueError``."""
    if PATTERN.fullmatch(text.strip()):
        return _moved(now, text, -1)
    try:
        return parse_instant(text)
    except ValueError as error:
        raise ValueError(f"{error}, or how long ago it was, e.g. 24h or 7d") from error


def parse_future(text: str, now: datetime) -> datetime:
    """``now`` and a duration such as ``90s`` after it. Raises ``ValueError``."""
    return _moved(now, text, 1)


def _moved(now: datetime, text: str, times: int) -> datetime:
    try:
        return now + times * parse_duration(text)
    except OverflowError as error:
        raise ValueError(f"{text!r} is beyond the calendar") from error
