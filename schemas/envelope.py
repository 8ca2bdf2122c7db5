"""CloudEvents 1.0 in Kafka's binary mode: attributes in headers, data in the value.

Source: the CloudEvents Kafka protocol binding, section 3.2.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

LAST_TIMESTAMP = 253_402_300_799_000
"""The last second of the year 9999, in ms."""

OLDEST_RECORD = timedelta(days=9)
"""A day beyond what trends count, and five days before a topic of facts is rid of it."""

Headers = list[tuple[str, bytes | None]]

DEFAULT_SOURCE = "/backend"
"""One source for triggers, ``tailrace.emit()`` and publishers, so that one cause has one identity."""


class Identity(msgspec.Struct, frozen=True):
    """What makes two deliveries the same event."""

    source: str
    type: str
    id: str


def event_headers(identity: Identity, occurred_at: datetime, *, traceparent: str | None = None) -> Headers:
    """Headers of one event."""
    headers: Headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", identity.id.encode()),
        ("ce_source", identity.source.encode()),
        ("ce_type", identity.type.encode()),
        ("ce_time", rfc3339(occurred_at).encode()),
        ("content-type", b"application/json"),
    ]
    if traceparent:
        headers.append(("traceparent", traceparent.encode()))
    return headers


def header(headers: Iterable[tuple[str, bytes | None]], name: str) -> str | None:
    """The text of the first header of this name, or None; bytes that are not UTF-8 are replaced."""
    for key, value in headers:
        if key == name and value is not None:
            return value.decode(errors="replace")
    return None


def identify(headers: Iterable[tuple[str, bytes | None]], topic: str, partition: int, offset: int) -> Identity:
    """The event's identity; without an id of its own, its place in the log.

    ``topic`` is the topic's name without prefix, which is also the type.
    """
    event_id = source = None
    for name, value in headers:
        if name == "ce_id":
            event_id = value
        elif name == "ce_source":
            source = value
    if not event_id:
        return Identity(f"kafka:{topic}", topic, f"{partition}:{offset}")
    said = source.decode(errors="replace") if source else DEFAULT_SOURCE
    return Identity(said, topic, event_id.decode(errors="replace"))


def record_time(occurred_at: datetime, now: datetime) -> int:
    """The timestamp in ms of the record that says at ``now`` what happened then.

    It is the event's own time, by which trends go. But brokers delete by it: what is older than ``OLDEST_RECORD`` gets
    that age, which is too old for trends all the same, so that somebody can read it before it is gone.
    """
    return int(max(occurred_at, now - OLDEST_RECORD).timestamp() * 1000)


def instant_of(timestamp: int) -> datetime:
    """The instant of a record's timestamp in ms; one beyond the years 1970 to 9999 is taken for their end."""
    return datetime.fromtimestamp(min(max(timestamp, 0), LAST_TIMESTAMP) / 1000, UTC)


def rfc3339(instant: datetime) -> str:
    """In UTC, to the microsecond, with Z."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
