"""What is asked of a replay, as people and programs write it, and as it is understood."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from aiokafka import ConsumerRecord

from schemas.envelope import header, instant_of
from schemas.events import FACTS
from schemas.topics import SOURCES
from streams.instants import parse_past
from streams.replay.where import WrongExpression, parse_where
from streams.task import Task

Mode = Literal["missing", "redo", "shadow"]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]

BOUNDS = "an instant such as 2026-03-04T12:00:00Z, how long ago such as 24h, or offset:1200 or offset:0=1200,1=900"


class WrongReplay(Exception):
    """It cannot be done as it was asked for; the message says why and names the right values."""


class UnknownReplay(WrongReplay):
    """No replay has this number."""


class Request(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A replay as it was asked for. ``start`` and ``end`` are texts of the form ``BOUNDS``."""

    topic: str
    mode: Mode = "missing"
    start: str | None = msgspec.field(default=None, name="from")
    end: str | None = msgspec.field(default=None, name="to")
    partitions: list[Annotated[int, msgspec.Meta(ge=0)]] = []
    keys: list[str] = []
    type: str | None = None
    where: str | None = None
    tasks: list[str] = []
    tables: list[str] = []
    rate: Count | None = None
    dead: bool = False
    send_mail: bool = False
    mail_cap: Count = 100
    note: str | None = None


Offsets = Mapping[int | None, int]
"""An offset for each partition; under None that of all others."""

Bound = datetime | Offsets | None


@dataclass(frozen=True)
class Selection:
    """A request whose names are all known. ``since`` and ``until`` are about the time of the record. ``replay``: the
    number of the replay that reads it, whose own runs are not taken for others'; none while it is planned.
    """

    request: Request
    event_type: str
    tasks: Sequence[Task]
    where: Callable[[Any], bool] | None
    keys: frozenset[bytes]
    since: datetime | None
    until: datetime | None
    replay: int | None = field(default=None, kw_only=True)

    def wants_record(self, record: ConsumerRecord) -> bool:
        """Whether it is meant, by what can be seen without decoding it."""
        if self.since is not None or self.until is not None:
            at = instant_of(record.timestamp)
            if (self.since is not None and at < self.since) or (self.until is not None and at >= self.until):
                return False
        if self.keys and record.key not in self.keys:
            return False
        return self.request.type is None or self.request.type == (header(record.headers, "ce_type") or self.event_type)


def understand(request: Request, tasks: Iterable[Task], since: datetime | None, until: datetime | None) -> Selection:
    """The request with its topic, tasks and expression looked up. Raises ``WrongReplay``."""
    event_type = _event_type(request.topic)
    where = None
    if request.where:
        try:
            where = parse_where(request.where, FACTS[event_type])
        except WrongExpression as error:
            raise WrongReplay(f"--where: {error}") from error
    if request.type is not None and request.type not in FACTS:
        raise WrongReplay(f"there is no event type {_unknown(request.type, FACTS)}")
    if request.tables and request.mode != "shadow":
        raise WrongReplay("--table goes with --mode shadow, which writes copies of these tables")
    if request.send_mail and request.mode == "shadow":
        raise WrongReplay("a shadow replay never sends mail: leave --send-mail out")
    keys = frozenset(key.encode() for key in request.keys)
    chosen = _tasks(request, event_type, list(tasks))
    return Selection(request, event_type, chosen, where, keys, since, until)


def parse_bound(option: str, text: str | None, now: datetime) -> Bound:
    """What ``--from`` or ``--to`` says. Raises ``WrongReplay``."""
    if text is None:
        return None
    if text.startswith("offset:"):
        try:
            return dict(_offset(part) for part in text.removeprefix("offset:").split(","))
        except ValueError as error:
            raise WrongReplay(f"{option} {text!r} is no offset; write {BOUNDS}") from error
    try:
        return parse_past(text, now)
    except ValueError as error:
        raise WrongReplay(f"{option} {text!r} is no time; write {BOUNDS}") from error


def _offset(text: str) -> tuple[int | None, int]:
    partition, equals, offset = text.rpartition("=")
    if not all(part.isascii() and part.isdigit() for part in ([partition, offset] if equals else [offset])):
        raise ValueError(text)
    return int(partition) if equals else None, int(offset)


def _event_type(topic: str) -> str:
    if topic not in SOURCES:
        raise WrongReplay(f"events cannot be read from {_unknown(topic, SOURCES)}")
    return SOURCES[topic]


def _tasks(request: Request, event_type: str, tasks: Sequence[Task]) -> list[Task]:
    """The tasks that the event causes, or those of them that are named."""
    caused = {task.name: task for task in tasks if task.on is FACTS[event_type]}
    for name in request.tasks:
        if name not in caused:
            raise WrongReplay(f"{event_type} causes no task {_unknown(name, caused)}")
    if not caused:
        raise WrongReplay(f"{event_type} causes no task: there is nothing to replay")
    chosen = [caused[name] for name in dict.fromkeys(request.tasks)] or list(caused.values())
    if request.mode == "redo":
        for task in chosen:
            if not (task.redo or task.sends_mail):
                raise WrongReplay(
                    f"{task.name} cannot be redone: it does not say that its effect takes the place of an earlier one. "
                    "Where it does, declare it with redo=True; else choose others with --task"
                )
    return chosen


def _unknown(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"{name!r}{hint}; there are {', '.join(names)}"
