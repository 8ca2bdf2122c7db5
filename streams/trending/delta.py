"""A delta: what a range of offsets of one source adds to the counts, and how it is stored.

Format 1 is msgpack: ``{"panes": {minute: {tag: uses}}, "late": [offset], "future": [offset]}``; a minute is
the event time divided by 60 s, an integer.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

FORMAT = 1
Panes = dict[int, dict[str, int]]


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """Uses by minute and tag, and the offsets that were refused for their time when they were counted."""

    panes: Panes
    late: list[int] = []
    future: list[int] = []


class Delta(msgspec.Struct):
    """Counts of the offsets [start, end) of a source."""

    source: str
    start: int
    end: int
    body: Body

    @property
    def refused(self) -> int:
        """How many of its events were not counted for their time."""
        return len(self.body.late) + len(self.body.future)

    @property
    def newest_minute(self) -> int:
        """The newest minute with a use in it; 0 where there is none."""
        return max(self.body.panes, default=0)


class UnknownFormat(Exception):
    """A newer version has written this delta."""


def pack(body: Body) -> bytes:
    """The body as it is stored, in format ``FORMAT``."""
    return msgspec.msgpack.encode(body)


def unpack(body: bytes, written_in: int) -> Body:
    """The inverse of ``pack``. Raises ``UnknownFormat``."""
    if written_in != FORMAT:
        raise UnknownFormat(f"trending delta of format {written_in}, this version reads {FORMAT}: upgrade this process")
    return msgspec.msgpack.decode(body, type=Body)


def add_panes(total: Panes, added: Panes) -> None:
    """Add the uses of ``added`` to ``total``, in place."""
    for minute, tags in added.items():
        pane = total.setdefault(minute, {})
        for tag, uses in tags.items():
            pane[tag] = pane.get(tag, 0) + uses


def in_parts(panes: Panes, size: int) -> Iterator[Panes]:
    """The same uses in parts of at most so many tags."""
    for minute, tags in panes.items():
        if len(tags) <= size:
            yield {minute: tags}
            continue
        items = iter(tags.items())
        while part := dict(islice(items, size)):
            yield {minute: part}


def merge(deltas: Iterable[Delta]) -> Delta:
    """One delta for contiguous ones: [a,b) + [b,c) -> [a,c). Raises ``ValueError`` where there is a hole."""
    first, *rest = deltas
    merged = Delta(first.source, first.start, first.start, Body({}))
    for delta in (first, *rest):
        if delta.start != merged.end:
            raise ValueError(
                f"{delta.source}: [{merged.start},{merged.end}) and [{delta.start},{delta.end}) do not meet"
            )
        add_panes(merged.body.panes, delta.body.panes)
        merged.body.late.extend(delta.body.late)
        merged.body.future.extend(delta.body.future)
        merged.end = delta.end
    return merged
