"""An offline recount of one source by the rules of trending, straight from the log: no memory, no batches."""

import json
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, Protocol


class Logged(Protocol):
    """What a recount reads of a record."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


def recount(log: Sequence[Logged], block: int, refused: Collection[int]) -> dict[int, dict[str, int]]:
    """Uses by minute and tag. ``refused``: offsets that the counter found late or in the future."""
    events = [(record, _event(record)) for record in log if record.offset not in refused]
    panes: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for index, (record, event) in enumerate(events):
        if event is None:
            continue
        first = (record.offset // block - 1) * block
        before = [(r, e) for r, e in events[:index] if r.offset >= first and e is not None]
        identity = _identity(record)
        if identity and any(_identity(r) == identity for r, _ in before):
            continue
        for tag in {tag for tag in map(_tag, event.get("hashtags") or []) if tag}:
            if event["visibility"] == "public" and not any(_uses(r, e, record, event, tag) for r, e in before):
                panes[record.timestamp // 60_000][tag] += 1
    return {minute: dict(tags) for minute, tags in panes.items()}


def _uses(earlier: Logged, said: dict[str, Any], record: Logged, event: dict[str, Any], tag: str) -> bool:
    """Whether the earlier event is the same account's use of the tag in the same hour."""
    same_account = said["author_id"] == event["author_id"] and type(said["author_id"]) is type(event["author_id"])
    same_hour = earlier.timestamp // 3_600_000 == record.timestamp // 3_600_000
    public = said["visibility"] == "public"
    return same_account and same_hour and public and tag in map(_tag, said.get("hashtags") or [])


def _event(record: Logged) -> dict[str, Any] | None:
    try:
        event: dict[str, Any] = json.loads(record.value or b"")
    except ValueError:
        return None
    complete = all(field in event for field in ("post_id", "author_id", "created_at", "visibility"))
    return event if complete and event.get("version", 1) == 1 else None


def _identity(record: Logged) -> tuple[bytes, bytes] | None:
    found = dict(record.headers)
    return (found.get("ce_source") or b"/backend", found["ce_id"] or b"") if found.get("ce_id") else None


def _tag(spelling: str) -> str | None:
    tag = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", spelling).strip().lstrip("#").casefold())
    bad = any(
        unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") and c not in "\u200c\u200d" for c in tag
    )
    return None if not tag or len(tag) > 100 or bad else tag
