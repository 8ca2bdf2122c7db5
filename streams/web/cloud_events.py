"""CloudEvents 1.0 over HTTP, in the structured and the batched mode: from a body to rows of the outbox.

Source: the CloudEvents HTTP protocol binding, sections 3.2 and 3.3, and the JSON format.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec

from schemas.envelope import Identity, event_headers
from schemas.events import FACTS, Instant
from streams.decoding import Undecodable, decode_event
from streams.outbox import OutboxRow
from streams.records import Record

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
JSON = "application/json"

MAX_DATA = 900_000
"""Bytes of one event's data, so that it fits into a record with its headers."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Attribute = Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]


class InvalidCloudEvent(ValueError):
    """The body is not what was announced; the message names the event and the field."""


class TooLarge(ValueError):
    """An event's data does not fit into a record; the message says which."""


class CloudEvent(msgspec.Struct, frozen=True):
    """What is read of an event. Other attributes are accepted; nothing becomes of them."""

    specversion: Literal["1.0"]
    id: Attribute
    source: Attribute
    type: str
    data: msgspec.Raw
    time: Instant | None = None
    datacontenttype: str | None = None
    traceparent: Annotated[str, msgspec.Meta(max_length=256, pattern=r"^[!-~]*$")] | None = None


@dataclass(frozen=True)
class Place:
    """Where an event stands, for messages."""

    number: int | None

    def __str__(self) -> str:
        return "" if self.number is None else f"event {self.number} of the batch: "


def rows_of(body: bytes, content_type: str, traceparent: str | None) -> list[OutboxRow]:
    """A row for each event, none twice. Raises ``InvalidCloudEvent`` or ``TooLarge``: then none of them is taken."""
    try:
        if content_type == BATCHED:
            parts = msgspec.json.decode(body, type=list[msgspec.Raw])
            places = [Place(number) for number in range(1, len(parts) + 1)]
        else:
            parts, places = [msgspec.Raw(body)], [Place(None)]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidCloudEvent(f"a batch is a JSON array of events: {error}") from error
    rows: dict[Identity, OutboxRow] = {}
    for place, part in zip(places, parts, strict=True):
        identity, row = _row(place, part, traceparent)
        rows.setdefault(identity, row)
    return list(rows.values())


def _row(place: Place, part: msgspec.Raw, traceparent: str | None) -> tuple[Identity, OutboxRow]:
    event = _event(place, part)
    data = bytes(event.data)
    if len(data) > MAX_DATA:
        raise TooLarge(f"{place}data has {len(data)} bytes; {MAX_DATA} are possible")
    identity = Identity(event.source, event.type, event.id)
    record = Record(event.type, 0, 0, None, data, [], 0)
    try:
        fact = decode_event(record).fact
    except Undecodable as error:
        raise InvalidCloudEvent(f"{place}data: {error}") from error
    if fact.occurred_at < EPOCH:
        raise InvalidCloudEvent(f"{place}data: the event's time, {fact.occurred_at.isoformat()}, is before 1970")
    headers = event_headers(identity, fact.occurred_at, traceparent=event.traceparent or traceparent)
    return identity, OutboxRow(event.type, str(fact.key).encode(), data, fact.occurred_at, headers)


def _event(place: Place, part: msgspec.Raw) -> CloudEvent:
    try:
        event = msgspec.json.decode(part, type=CloudEvent)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidCloudEvent(f"{place}{error}") from error
    if event.type not in FACTS:
        raise InvalidCloudEvent(f"{place}type: {event.type!r} is not an event type; one of {', '.join(FACTS)}")
    if event.datacontenttype not in (None, JSON):
        raise InvalidCloudEvent(f"{place}datacontenttype: {event.datacontenttype!r} is not possible; send {JSON}")
    return event
