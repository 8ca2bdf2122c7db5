"""How dead letters are shown: tables for people, objects for programs. What came from outside is shown escaped."""

import heapq
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from schemas.envelope import rfc3339
from streams.dead_letter_topics import Count, Marked
from streams.dead_letters import PREFIX
from streams.outbox import pack_headers
from streams.printable import printable

SHOWN_REASON = 200


class Summary(msgspec.Struct, frozen=True):
    """One letter in a list, without its bytes. Instants are RFC 3339."""

    place: str
    died_at: str
    origin: str | None
    task: str | None
    run: str | None
    attempts: int | None
    error: str | None
    reason: str
    bytes: int
    mark: str | None


def summary(pair: Marked) -> Summary:
    """What a list tells of this letter."""
    letter, mark = pair
    return Summary(
        place=str(letter.place),
        died_at=rfc3339(letter.died_at),
        origin=letter.origin,
        task=letter.task,
        run=str(letter.run) if letter.run else None,
        attempts=letter.attempts,
        error=letter.error,
        reason=letter.reason,
        bytes=len(letter.record.value or b""),
        mark=mark,
    )


class Newest:
    """The newest so many of the letters that were added, as summaries."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._heap: list[tuple[Any, Summary]] = []

    def add(self, pairs: Iterable[Marked]) -> None:
        for pair in pairs:
            key = (pair[0].died_at, pair[0].place)
            if len(self._heap) < self._limit:
                heapq.heappush(self._heap, (key, summary(pair)))
            elif key > self._heap[0][0]:
                heapq.heapreplace(self._heap, (key, summary(pair)))

    def sorted(self) -> list[Summary]:
        """Newest first."""
        return [found for _, found in sorted(self._heap, key=lambda entry: entry[0], reverse=True)]


def list_as_json(counts: Sequence[Count], letters: Sequence[Summary]) -> str:
    """One object: ``counts`` of each topic that holds letters, and ``letters``, newest first."""
    return _json({"counts": [_count(count) for count in counts], "letters": letters})


def counts_line(counts: Sequence[Count]) -> str:
    """How many letters wait where."""
    if not counts:
        return "no dead letters"
    parts = [
        f"{count.topic} {count.waiting:,}" + (f" (and {count.marked:,} dealt with)" if count.marked else "")
        for count in counts
    ]
    return ", ".join(parts)


def list_table(letters: Sequence[Summary], *, with_marks: bool) -> Table:
    """A row for each letter."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("letter", "died"):
        table.add_column(column, no_wrap=True)
    for column in ("task", "attempts", "error", "reason"):
        table.add_column(column, overflow="fold")
    if with_marks:
        table.add_column("mark")
    for found in letters:
        attempts = "" if found.attempts is None else str(found.attempts)
        told = (found.place, found.died_at[:19] + "Z", found.task or "", attempts, found.error or "")
        cells = [*told, found.reason[:SHOWN_REASON], *([found.mark or ""] if with_marks else [])]
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def letter_as_json(pair: Marked) -> str:
    """One object: the summary, ``key``, ``value``, ``headers`` and ``stack``.

    Key, value and the values of headers are text, null, or ``{"base64": ...}`` for what is not UTF-8.
    """
    letter, _ = pair
    shown = msgspec.to_builtins(summary(pair))
    shown |= {"key": _content(letter.record.key), "value": _content(letter.record.value)}
    shown |= {"headers": msgspec.json.decode(pack_headers(letter.record.headers)), "stack": letter.stack}
    return _json(shown)


def letter_as_text(pair: Marked) -> str:
    """Headers, key, bytes and stack, for people."""
    letter, mark = pair
    lines = [f"{letter.place}" + (f"  ({mark})" if mark else ""), ""]
    for name, value in letter.record.headers:
        if name != PREFIX + "stack":
            lines.append(f"{printable(name)}: {printable(_as_text(value))}")
    lines += ["", f"key: {printable(_as_text(letter.record.key))}", "", _pretty(letter.record.value)]
    if letter.stack:
        lines += ["", *(printable(line) for line in letter.stack.splitlines())]
    return "\n".join(lines)


def _pretty(value: bytes | None) -> str:
    """JSON over several lines; what is none as text, or in base64."""
    try:
        formatted = msgspec.json.format(value or b"", indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return printable(_as_text(value))
    return "\n".join(printable(line) for line in formatted.splitlines())


def _as_text(value: bytes | None) -> str:
    content = _content(value)
    if content is None:
        return "(none)"
    return content if isinstance(content, str) else f"base64 {content['base64']}"


def _content(value: bytes | None) -> Any:
    """As ``pack_headers`` has it."""
    return msgspec.json.decode(pack_headers([("", value)]))[0][1]


def _count(count: Count) -> dict[str, object]:
    return {"topic": count.topic, "waiting": count.waiting, "marked": count.marked}


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
