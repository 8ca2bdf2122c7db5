"""A record as it came off a topic, and its place among the unacknowledged ones."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from schemas.envelope import Headers, instant_of


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record; ``topic`` without the deployment's prefix, ``timestamp`` in ms."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int

    @property
    def published_at(self) -> datetime:
        """The record's timestamp."""
        return instant_of(self.timestamp)


@dataclass(slots=True, eq=False)
class Delivery:
    """A record that is being dealt with. ``live`` is False once its partition has been taken away."""

    record: Record
    acknowledge: Callable[[], object]
    live: bool = True
    finished: bool = field(default=False)

    @property
    def place(self) -> tuple[str, int]:
        return self.record.topic, self.record.partition
