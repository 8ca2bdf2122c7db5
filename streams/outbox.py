"""The outbox: whatever is sent later, or together with rows, is a row here first.

A retry is a row with ``due_at`` in the future; so is a command's dead letter, written in the transaction
that records ``dead``. The relay publishes rows and deletes them after the broker's acknowledgement.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.envelope import Headers

# Put rows in, in the caller's transaction. One with the dedupe key of a waiting row takes its place: the relay
# deletes a row only as it was when it was read, so neither is lost when it is being published just now.
PUT = text("""
    INSERT INTO tailrace.outbox (topic, key, headers, payload, occurred_at, due_at, dedupe_key)
    VALUES (:topic, :key, CAST(:headers AS jsonb), :payload, :occurred_at,
            coalesce(:due_at, now()), :dedupe_key)
    ON CONFLICT (dedupe_key) DO UPDATE
       SET due_at = excluded.due_at, occurred_at = excluded.occurred_at,
           payload = excluded.payload, headers = excluded.headers
""")

# Wake the relay, if it has said that it sleeps.
WAKE = text("SELECT tailrace.wake_relay()")


@dataclass(frozen=True)
class OutboxRow:
    """A record to be published at ``due_at``, or at once where that is None. ``occurred_at`` is its timestamp,
    unless that is so long ago that the topic would be rid of it at once.
    """

    topic: str
    key: bytes | None
    payload: bytes | None
    occurred_at: datetime
    headers: Headers = field(default_factory=list)
    due_at: datetime | None = None
    dedupe_key: str | None = None


async def put(connection: AsyncConnection, row: OutboxRow) -> None:
    """Publish this row if and only if the caller's transaction commits."""
    await put_all(connection, [row])


async def put_all(connection: AsyncConnection, rows: Sequence[OutboxRow]) -> None:
    """Publish these rows, in order, if and only if the caller's transaction commits."""
    if rows:
        await connection.execute(PUT, [_values(row) for row in rows])
        await connection.execute(WAKE)


def _values(row: OutboxRow) -> dict[str, Any]:
    return {
        "topic": row.topic,
        "key": row.key,
        "payload": row.payload,
        "headers": pack_headers(row.headers),
        "occurred_at": row.occurred_at,
        "due_at": row.due_at,
        "dedupe_key": row.dedupe_key,
    }


def pack_headers(headers: Iterable[tuple[str, bytes | None]]) -> str:
    """Kafka headers as JSON: pairs of name and text, null, or ``{"base64": ...}`` for what is not UTF-8."""
    return msgspec.json.encode([[name, packed(value)] for name, value in headers]).decode()


def unpack_headers(packed: str | bytes) -> Headers:
    """The inverse of ``pack_headers``. Raises ``ValueError`` where the JSON is not of that shape."""
    try:
        pairs = msgspec.json.decode(packed, type=list[tuple[str, str | dict[str, str] | None]])
        return [(name, unpacked(value)) for name, value in pairs]
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        raise ValueError(f"headers must be a JSON array of [name, text] pairs: {error}") from error


def packed(value: bytes | None) -> str | Mapping[str, str] | None:
    """Bytes as JSON holds them: text, or ``{"base64": ...}`` for what is not UTF-8."""
    if value is None:
        return None
    try:
        decoded = value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
    return {"base64": base64.b64encode(value).decode()} if "\x00" in decoded else decoded


def unpacked(value: Any) -> bytes | None:
    """The inverse of ``packed``."""
    if value is None:
        return None
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"], validate=True)
