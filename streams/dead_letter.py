"""One dead letter as it lies in its topic: what it was, where it came from and why it is there."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from aiokafka import ConsumerRecord

from schemas.commands import Command
from schemas.envelope import Headers
from schemas.topics import DEAD_LETTER_SUFFIX, QUEUE_BY_TOPIC
from streams.dead_letters import PREFIX
from streams.decoding import Undecodable, decode_command
from streams.records import Record

KEPT = "tailrace-task"
"""The one header of ours that a command has from the start."""


@dataclass(frozen=True, order=True)
class Place:
    """Where a letter lies; ``topic`` is the topic of dead letters, without the deployment's prefix."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


@dataclass(frozen=True)
class Letter:
    """A record of a topic of dead letters. What its headers do not say is None."""

    place: Place
    record: Record

    @property
    def origin_topic(self) -> str:
        """The topic that it was taken from, and goes back to."""
        return self.place.topic.removesuffix(DEAD_LETTER_SUFFIX)

    @property
    def origin(self) -> str | None:
        """Topic, partition and offset that it was taken from."""
        parts = [self._said(name) for name in ("topic", "partition", "offset")]
        return ":".join(part for part in parts if part) if all(parts) else None

    @property
    def task(self) -> str | None:
        """The command's task."""
        return self._said("task") or (self.command.task if self.command else None)

    @property
    def run(self) -> uuid.UUID | None:
        """The command's id in the ledger."""
        return self.command.id if self.command else None

    @property
    def attempts(self) -> int | None:
        """The attempt at which it died."""
        said = self._said("attempts")
        return int(said) if said and said.isdecimal() else None

    @property
    def error(self) -> str | None:
        """The class of the exception behind the reason."""
        return self._said("error")

    @property
    def reason(self) -> str:
        """Why it is here."""
        return self._said("reason") or ""

    @property
    def stack(self) -> str | None:
        """The end of the exception's traceback."""
        return self._said("stack")

    @property
    def died_at(self) -> datetime:
        """When it was found dead; for a letter that does not say so the time of its record."""
        try:
            said = datetime.fromisoformat(self._said("at") or "")
        except ValueError:
            return self.record.published_at
        return said if said.tzinfo else said.replace(tzinfo=UTC)

    @cached_property
    def command(self) -> Command | None:
        """The command, where the letter is one."""
        if self.origin_topic not in QUEUE_BY_TOPIC:
            return None
        try:
            return decode_command(self.record)
        except Undecodable:
            return None

    @property
    def original_headers(self) -> Headers:
        """The headers that it came with, in their order."""
        mine = self.command is not None
        return [
            (name, value)
            for name, value in self.record.headers
            if not name.startswith(PREFIX) or (mine and name == KEPT)
        ]

    @cached_property
    def _headers(self) -> dict[str, bytes | None]:
        """Our own headers are the last of their name."""
        return dict(self.record.headers)

    def _said(self, name: str) -> str | None:
        value = self._headers.get(PREFIX + name)
        return None if value is None else value.decode(errors="replace")


def letter_of(record: ConsumerRecord, topic: str) -> Letter:
    """The letter of this record of ``topic``, which is named without the deployment's prefix."""
    return Letter(
        Place(topic, record.partition, record.offset),
        Record(
            topic=topic.removesuffix(DEAD_LETTER_SUFFIX),
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
            timestamp=record.timestamp,
        ),
    )
