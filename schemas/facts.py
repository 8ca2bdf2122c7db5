"""A fact on its way: from JSON, and as the record that says it. The client that backends install has it too."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from schemas.envelope import DEFAULT_SOURCE, Headers, Identity, event_headers, record_time
from schemas.events import FACTS, Fact


class InvalidEvent(ValueError):
    """The event is not of its type's schema; the message names the field."""


class NotDelivered(Exception):
    """The broker does not have these facts for certain. Publish them again: each keeps its identity, so nothing is
    done twice.
    """

    def __init__(self, failures: Sequence[tuple[Fact, BaseException]]) -> None:
        self.failures = list(failures)
        first, error = failures[0]
        super().__init__(
            f"{len(failures)} of the events may not have been delivered; the first, {first.natural_id}: {error}"
        )

    @property
    def facts(self) -> list[Fact]:
        """What to publish again."""
        return [fact for fact, _ in self.failures]


def parse_fact(event_type: str, data: bytes | str) -> Fact:
    """The fact of this JSON. Raises ``InvalidEvent``."""
    if event_type not in FACTS:
        raise InvalidEvent(f"{event_type!r} is not an event type; one of {', '.join(FACTS)}")
    try:
        return msgspec.json.decode(data, type=FACTS[event_type])
    except msgspec.MsgspecError as error:
        raise InvalidEvent(f"{event_type}: {error}") from error


def checked_json(fact: Fact) -> bytes:
    """The fact as JSON of its schema. Raises ``InvalidEvent``: a Struct takes any value when it is made."""
    try:
        data = msgspec.json.encode(fact)
    except (TypeError, ValueError) as error:
        raise InvalidEvent(f"{event_type_of(fact)}: {error}") from error
    parse_fact(event_type_of(fact), data)
    return data


def record_of(fact: Fact, now: datetime, source: str = DEFAULT_SOURCE) -> tuple[str, bytes, bytes, Headers, int]:
    """Topic, key, value, headers and timestamp (ms) of the record that says this fact now. Raises ``InvalidEvent``."""
    topic, data = event_type_of(fact), checked_json(fact)
    headers = event_headers(Identity(source, topic, fact.natural_id), fact.occurred_at)
    return topic, str(fact.key).encode(), data, headers, record_time(fact.occurred_at, now)


def event_type_of(fact: Fact) -> str:
    """The name under which this fact is published. Raises ``InvalidEvent`` for what is none."""
    for name, schema in FACTS.items():
        if isinstance(fact, schema):
            return name
    raise InvalidEvent(f"a {type(fact).__name__} is not a fact; one of {', '.join(s.__name__ for s in FACTS.values())}")
