"""Say an event in the database transaction that makes it true."""

from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from typing import Any, Protocol

import msgspec

from schemas.events import Fact
from schemas.facts import checked_json, event_type_of

# Put the event into the outbox, in the caller's transaction.
EMIT = """
    SELECT tailrace.emit(%s, %s, CAST(%s AS jsonb), CAST(%s AS jsonb), coalesce(CAST(%s AS timestamptz), now()))
"""


class Connection(Protocol):
    """A DB-API connection whose parameters are written ``%s`` (psycopg, psycopg2, pg8000), or Django's."""

    def cursor(self) -> Any:
        """A new cursor."""


def emit(
    connection: Connection, fact: Fact, *, headers: Mapping[str, str] | None = None, due_at: datetime | None = None
) -> int:
    """The fact is published if and only if the transaction of this connection commits; the number of its outbox row.

    ``headers`` go along (``traceparent``); ``ce_id`` and ``ce_source`` there replace the defaults. It is not published
    before ``due_at``. Raises ``InvalidEvent``, and what the database says, e.g. where Tailrace is not attached.
    """
    packed = None if headers is None else msgspec.json.encode(headers).decode()
    values = [event_type_of(fact), str(fact.key), checked_json(fact).decode(), packed, due_at]
    with closing(connection.cursor()) as cursor:
        cursor.execute(EMIT, values)
        return int(cursor.fetchone()[0])
