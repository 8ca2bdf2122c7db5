"""A record as files keep it: with its place, so that it is the same event when it comes back, and its bytes."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from schemas.envelope import Headers, header, identify
from streams.outbox import packed, unpacked


class WrongArchive(Exception):
    """A file is none of ours, or the place cannot be used; the message says what to do."""


class Archived(msgspec.Struct, frozen=True):
    """A record; ``timestamp`` in ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    headers: Headers
    value: bytes | None

    @property
    def size(self) -> int:
        """Its bytes, about."""
        pairs = [text for name, value in self.headers for text in (name, value)]
        return sum(len(part) for part in (self.key, self.value, *pairs) if part is not None)

    def headers_with_identity(self, event_type: str) -> Headers:
        """Its headers; one that had no id gets that of its place, which it was known by."""
        if header(self.headers, "ce_id"):
            return self.headers
        identity = identify(self.headers, event_type, self.partition, self.offset)
        others = [pair for pair in self.headers if pair[0] not in ("ce_id", "ce_source")]
        return [*others, ("ce_id", identity.id.encode()), ("ce_source", identity.source.encode())]


def to_lines(records: Iterable[Archived]) -> bytes:
    """JSON Lines: texts as they are, what is not UTF-8 as ``{"base64": ...}``."""
    return b"".join(msgspec.json.encode(_line(record)) + b"\n" for record in records)


def from_lines(content: bytes) -> list[Archived]:
    """The inverse of ``to_lines``. Raises ``WrongArchive``."""
    found = []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            fields = msgspec.json.decode(line)
            headers = [(name, unpacked(value)) for name, value in fields["headers"]]
            bytes_of = {name: unpacked(fields[name]) for name in ("key", "value")}
            found.append(msgspec.convert({**fields, **bytes_of, "headers": headers}, Archived))
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
            raise WrongArchive(f"line {number} is no record as `tailrace export` writes it: {error!r}") from error
    return found


def _line(record: Archived) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": packed(record.key),
        "headers": [[name, packed(value)] for name, value in record.headers],
        "value": packed(record.value),
    }


def to_parquet(records: Sequence[Archived]) -> bytes:
    """The same as columns. Raises ``WrongArchive`` where pyarrow is not installed."""
    arrow, parquet = _pyarrow()
    headers = arrow.list_(arrow.struct([("name", arrow.string()), ("value", arrow.binary())]))
    kinds = {
        "topic": arrow.string(),
        "partition": arrow.int32(),
        "offset": arrow.int64(),
        "timestamp": arrow.timestamp("ms", tz="UTC"),
        "key": arrow.binary(),
        "headers": headers,
        "value": arrow.binary(),
    }
    columns = {name: arrow.array([_cell(record, name) for record in records], kind) for name, kind in kinds.items()}
    sink = arrow.BufferOutputStream()
    parquet.write_table(arrow.table(columns), sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue())


def from_parquet(content: bytes) -> list[Archived]:
    """The inverse of ``to_parquet``. Raises ``WrongArchive``."""
    arrow, parquet = _pyarrow()
    try:
        table = parquet.read_table(arrow.BufferReader(content), page_checksum_verification=True)
        table = table.set_column(
            table.schema.get_field_index("timestamp"), "timestamp", table["timestamp"].cast(arrow.int64())
        )
        return [_from_row(row) for row in table.to_pylist()]
    except (arrow.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise WrongArchive(f"it is no Parquet file as `tailrace export` writes it: {error!r}") from error


def _cell(record: Archived, name: str) -> Any:
    if name == "headers":
        return [{"name": header_name, "value": value} for header_name, value in record.headers]
    return getattr(record, name)


def _from_row(row: dict[str, Any]) -> Archived:
    headers = [(pair["name"], pair["value"]) for pair in row["headers"]]
    return msgspec.convert({**row, "headers": headers}, Archived)


def require_parquet() -> None:
    """Raises ``WrongArchive`` where pyarrow is not installed."""
    _pyarrow()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise WrongArchive(
            "Parquet needs pyarrow: install the extra `tailrace[parquet]`, or export with --format jsonl"
        ) from error
    return pyarrow, parquet
