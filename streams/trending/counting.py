"""The rules of counting, for one source: a pure function of the log and of the offsets refused for their time.

- Only public posts count.
- An event counts once, and an account adds at most one use of a tag in an hour of event time, both within
  what is remembered: the events of the current block of offsets and of the one before it.
- An event older than ``LATE`` or further ahead than ``FUTURE`` when it is counted does not count; its offset
  is stored with the delta, so that a recount knows.

Blocks are aligned to offsets and every event of a block is remembered in it, repeats too. So the memory at an
offset is the same however the counter came there, and can be rebuilt by re-reading at most two blocks.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, NamedTuple, Protocol

import msgspec

from schemas.envelope import DEFAULT_SOURCE
from schemas.events import Id, Instant, Visibility
from streams.trending.delta import Body, Delta, Panes
from streams.trending.tags import normal_tag

LATE = timedelta(days=8)
FUTURE = timedelta(minutes=5)
LATE_MS = LATE // timedelta(milliseconds=1)
FUTURE_MS = FUTURE // timedelta(milliseconds=1)
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
MAX_REMEMBERED_SPELLINGS = 100_000
NOTHING: frozenset["Use"] = frozenset()
DEFAULT_SOURCES = (b"", DEFAULT_SOURCE.encode())


Use = tuple[Id, str | None]
"""An account's use of a tag; None stands for what is no tag."""


class LogRecord(Protocol):
    """What counting reads of a record; aiokafka's ``ConsumerRecord`` is one."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class Tagged(msgspec.Struct, gc=False):
    """``post.uploaded`` and ``post.tagged`` at once, field by field as strict as they are: what the router makes a
    dead letter of does not count.
    """

    post_id: Id
    author_id: Id
    created_at: Instant
    visibility: Visibility
    hashtags: list[str] | None = None
    image: str | None = None
    video: str | None = None
    text: str | None = None
    language: str | None = None
    version: Literal[1] = 1


class Block:
    """What is remembered of one block of offsets."""

    __slots__ = ("events", "uses")

    def __init__(self) -> None:
        self.events: set[bytes] = set()
        self.uses: dict[int, set[Use]] = {}


class Batch(NamedTuple):
    """What was counted since the last batch, and the future events that go to the dead letters."""

    delta: Delta
    future: list[LogRecord]


class SourceCount:
    """Counts one source from ``next_offset`` on, after remembering what lies before it from ``first_offset``."""

    def __init__(self, source: str, next_offset: int, block_size: int, refused: frozenset[int] = frozenset()) -> None:
        self.source = source
        self.next_offset = next_offset
        """The next offset to count."""
        self.read_offset = max(0, next_offset // block_size - 1) * block_size
        """The next offset to read: at first the start of the block before, so that the memory is complete."""
        self.size = 0
        """Events in the batch that is being counted."""
        self._block_size = block_size
        self._refused = refused
        self._block = -1
        self._current = Block()
        self._previous = Block()
        self._spellings: dict[str, str | None] = {}
        self._decode = msgspec.json.Decoder(Tagged).decode
        self.stored()

    def add(self, records: Sequence[LogRecord], now_ms: int) -> None:
        """Remember the records, and count those that have not been counted. Offsets must grow."""
        for record in records:
            offset = record.offset
            if offset // self._block_size != self._block:
                self._turn(offset // self._block_size)
            if offset >= self.next_offset:
                self._count(record, now_ms)
            elif offset not in self._refused:
                self._take(record, count=False)
        self.read_offset = records[-1].offset + 1

    def skip_to(self, offset: int) -> None:
        """Go on from here: retention has taken what lies between."""
        self.next_offset = max(self.next_offset, offset)

    def batch(self) -> Batch | None:
        """What was counted since ``stored`` was last called, or None where no offset has passed."""
        if self.next_offset == self.stored_offset:
            return None
        body = Body(self._panes, self._late, [record.offset for record in self._future])
        return Batch(Delta(self.source, self.stored_offset, self.next_offset, body), self._future)

    def stored(self) -> None:
        """The batch is stored: begin the next one."""
        self.stored_offset = self.next_offset
        self.size = 0
        self._panes: Panes = {}
        self._late: list[int] = []
        self._future: list[LogRecord] = []

    def _count(self, record: LogRecord, now_ms: int) -> None:
        self.next_offset = record.offset + 1
        self.size += 1
        age = now_ms - record.timestamp
        if age > LATE_MS or record.offset in self._refused:
            self._late.append(record.offset)
        elif -age > FUTURE_MS:
            self._future.append(record)
        else:
            self._take(record, count=True)

    def _turn(self, block: int) -> None:
        """Enter another block of offsets: only the one right before it is still remembered."""
        self._previous = self._current if block == self._block + 1 else Block()
        self._current = Block()
        self._block = block
        if len(self._spellings) > MAX_REMEMBERED_SPELLINGS:
            self._spellings.clear()

    def _take(self, record: LogRecord, *, count: bool) -> None:
        """Remember the event, and count what is new in it."""
        try:
            event = self._decode(record.value or b"")
        except (msgspec.MsgspecError, RecursionError):
            return  # the router makes a dead letter of it
        repeated = self._remember_event(record.headers)
        if event.visibility != "public" or not event.hashtags:
            return
        hour = record.timestamp // HOUR_MS
        before = self._previous.uses.get(hour, NOTHING)
        uses = self._current.uses.setdefault(hour, set())
        count = count and not repeated
        for spelling in event.hashtags:
            tag = self._tag(spelling)
            use = (event.author_id, tag)
            if tag is None or use in uses:
                continue
            uses.add(use)
            if count and use not in before:
                pane = self._panes.setdefault(record.timestamp // MINUTE_MS, {})
                pane[tag] = pane.get(tag, 0) + 1

    def _remember_event(self, headers: tuple[tuple[str, bytes | None], ...]) -> bool:
        """Whether this event was here before. One without an id is always new."""
        event_id = source = b""
        for name, value in headers:
            if name == "ce_id":
                event_id = value or b""
            elif name == "ce_source":
                source = value or b""
        if not event_id:
            return False
        key = event_id if source in DEFAULT_SOURCES else source + b"\x00" + event_id
        current = self._current.events
        repeated = key in current or key in self._previous.events
        current.add(key)
        return repeated

    def _tag(self, spelling: str) -> str | None:
        try:
            return self._spellings[spelling]
        except KeyError:
            tag = self._spellings[spelling] = normal_tag(spelling)
            return tag
