"""From a record's bytes to a fact or a command, or the reason why not."""

from dataclasses import dataclass
from typing import TypeVar

import msgspec

from schemas.commands import Command
from schemas.envelope import Identity, identify
from schemas.events import FACTS, Fact
from streams.records import Record

T = TypeVar("T")
ESCAPED_NUL = b"\\u0000"


class Undecodable(Exception):
    """The record is not of its topic's schema; the message says where."""


@dataclass(frozen=True)
class Event:
    """A fact, and who it is."""

    fact: Fact
    identity: Identity


def decode_event(record: Record) -> Event:
    """The fact of this record. Raises ``Undecodable``."""
    identity = identify(record.headers, record.topic, record.partition, record.offset)
    fact = decode_value(record.value, record.topic, FACTS[record.topic])
    return Event(fact, identity)


def decode_command(record: Record) -> Command:
    """The command of this record. Raises ``Undecodable``."""
    return decode_value(record.value, record.topic, Command)


def decode_value(value: bytes | None, topic: str, schema: type[T]) -> T:
    """A value of this topic. Raises ``Undecodable``."""
    if value is None:
        raise Undecodable("the record has no value")
    try:
        decoded = msgspec.json.decode(value, type=schema)
        if ESCAPED_NUL in value and _has_nul(msgspec.json.decode(value)):
            raise Undecodable("a text has the character U+0000, which PostgreSQL cannot store")
    except msgspec.ValidationError as error:
        raise Undecodable(f"not of the schema of {topic}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"not JSON: {error}") from error
    return decoded


def _has_nul(value: object) -> bool:
    if isinstance(value, dict):
        return any(_has_nul(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return any(_has_nul(part) for part in value)
    return isinstance(value, str) and "\x00" in value
