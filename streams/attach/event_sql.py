"""The events of rows as SQL: one SELECT for triggers and backfills, so that both say one cause with one id.

The ids are those of ``natural_id`` in ``schemas.events``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from schemas.backend import BackendTables

LONGEST_TEXT = 100_000
"""Characters of a post's text that its event takes along; of a longer one it says nothing."""


# Outbox rows, each whole or set aside with what keeps it from being an event.
INSERT_EVENTS = """INSERT INTO tailrace.outbox (topic, key, headers, payload, occurred_at, state, error)
    SELECT '{event}', convert_to(key, 'UTF8'),
           tailrace.event_headers('{event}', id, at, (SELECT source FROM tailrace.event_source)),
           convert_to(data::text, 'UTF8'), CASE WHEN problem IS NULL THEN at ELSE now() END,
           CASE WHEN problem IS NULL THEN 'pending' ELSE 'set_aside' END, problem
      FROM (SELECT ({key})::text AS key, {id} AS id, {at} AS at,
               {problem} AS problem,
               json_build_object(
               {pairs}) AS data
          FROM {rows}) AS said"""


@dataclass(frozen=True)
class Columns:
    """The backend's real columns: logical name (``users.email``) -> its type as PostgreSQL writes it."""

    backend: BackendTables
    types: Mapping[str, str]

    def has(self, logical: str) -> bool:
        return logical in self.types

    def value(self, logical: str, row: str = "r") -> str:
        """The column in the row ``row``; NULL where the backend lacks it."""
        return f"{row}.{self.quoted(logical)}" if self.has(logical) else "NULL"

    def instant(self, logical: str, row: str = "r") -> str:
        """The same as timestamptz: without a zone it is UTC, whatever zone the session has."""
        naive = self.types.get(logical) == "timestamp without time zone"
        return f"({self.value(logical, row)} AT TIME ZONE 'UTC')" if naive else self.value(logical, row)

    def quoted(self, logical: str) -> str:
        table, _, name = logical.partition(".")
        known = self.backend.optional.get(logical)
        column = getattr(self.backend, table).c[name] if known is None else known
        return quoted(column.name)


def quoted(name: str) -> str:
    """An identifier as SQL."""
    return str(_preparer().quote(name))


def quoted_table(table: sa.Table) -> str:
    """With its schema."""
    return str(_preparer().format_table(table))


def _preparer() -> Any:
    dialect: Any = postgresql.dialect  # its constructor has no types
    return dialect().identifier_preparer


def literal(text: str) -> str:
    """A text as SQL, whatever is in it."""
    return "'" + text.replace("'", "''") + "'" if "\\" not in text else " E'" + _escaped(text) + "'"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "''")


@dataclass(frozen=True)
class Saying:
    """One event for each row ``r`` of what stands in ``joined`` (with ``{rows}`` for the rows themselves).

    ``problem`` is SQL for what keeps the row from being an event, or NULL.
    """

    event: str
    joined: str
    event_id: str
    key: str
    occurred_at: str
    data: Mapping[str, str]
    problem: str


def user_created(columns: Columns) -> Saying:
    """Its time is when the user joined, as the welcome mail goes by it."""
    joined = columns.instant("users.date_joined")
    data = {
        "user_id": columns.value("users.id"),
        "email": columns.value("users.email"),
        "username": columns.value("users.username"),
        "created_at": rfc3339(joined),
        "first_name": columns.value("users.first_name"),
        "locale": columns.value("users.locale"),
        "time_zone": columns.value("users.time_zone"),
    }
    problem = _first_problem(_nulls("email", "username", data=data), _out_of_range("created_at", joined))
    return Saying(
        "user.created", "{rows}", f"'user.created:' || {data['user_id']}", data["user_id"], joined, data, problem
    )


def post_uploaded(columns: Columns) -> Saying:
    """With what is attached now, as its id says."""
    image, video = (f"nullif({columns.value(f'posts.{name}')}, '')" for name in ("image", "video"))
    created, text = columns.instant("posts.created_at"), columns.value("posts.content")
    data = _of_post(columns, "r", created) | {
        "image": image,
        "video": video,
        "text": f"CASE WHEN length({text}) <= {LONGEST_TEXT} THEN {text} END",
    }
    event_id = f"'post.uploaded:' || {data['post_id']} || coalesce(':' || {image}, '') || coalesce(':' || {video}, '')"
    problem = _first_problem(
        _nulls("author_id", data=data), _visibility(data["visibility"]), _out_of_range("created_at", created)
    )
    return Saying("post.uploaded", "{rows}", event_id, data["author_id"], created, data, problem)


def post_tagged(columns: Columns) -> Saying:
    """One event for each tag of a post, at the time when it was tagged, or posted where nobody knows that."""
    backend, row = columns.backend, columns.value
    when = columns.instant("post_hashtags.created_at")
    if not columns.has("post_hashtags.created_at"):
        when = columns.instant("posts.created_at", "p")
    tag, post = row("hashtags.name", "h"), row("post_hashtags.post_id")
    joined = (
        f"{{rows}} LEFT JOIN {quoted_table(backend.posts)} AS p ON {row('posts.id', 'p')} = {post}"
        f" LEFT JOIN {quoted_table(backend.hashtags)} AS h"
        f" ON {row('hashtags.id', 'h')} = {row('post_hashtags.hashtag_id')}"
    )
    data = _of_post(columns, "p", when) | {"post_id": post, "hashtags": f"json_build_array({tag})"}
    problem = _first_problem(
        f"WHEN {row('posts.id', 'p')} IS NULL THEN 'there is no such post'",
        f"WHEN {tag} IS NULL THEN 'there is no such hashtag'",
        _nulls("author_id", data=data),
        _visibility(data["visibility"]),
        _out_of_range("created_at", when),
    )
    event_id = f"'post.tagged:' || {post} || ':' || {tag}"
    return Saying("post.tagged", joined, event_id, data["author_id"], when, data, problem)


def user_deleted(columns: Columns) -> Saying:
    """At the time of the transaction."""
    user = columns.value("users.id")
    data = {"user_id": user, "deleted_at": rfc3339("now()")}
    return Saying("user.deleted", "{rows}", f"'user.deleted:' || {user}", user, "now()", data, "NULL")


def post_deleted(columns: Columns) -> Saying:
    """At the time of the transaction, in the order of the author's events."""
    post, author = columns.value("posts.id"), columns.value("posts.author_id")
    data = {"post_id": post, "author_id": author, "deleted_at": rfc3339("now()")}
    problem = _first_problem(_nulls("author_id", data=data))
    return Saying("post.deleted", "{rows}", f"'post.deleted:' || {post}", author, "now()", data, problem)


def rfc3339(instant: str) -> str:
    """In UTC to the microsecond, whatever zone and style the session has."""
    return f"to_char({instant} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"


def insert_events(saying: Saying, rows: str) -> str:
    """Outbox rows for ``rows``: SQL that names them ``r``. ``at`` is the event's time."""
    pairs = ",\n               ".join(f"'{name}', {value}" for name, value in saying.data.items())
    return INSERT_EVENTS.format(
        event=saying.event,
        key=saying.key,
        id=saying.event_id,
        at=saying.occurred_at,
        problem=saying.problem,
        pairs=pairs,
        rows=saying.joined.format(rows=rows),
    )


def _of_post(columns: Columns, row: str, created: str) -> dict[str, str]:
    return {
        "post_id": columns.value("posts.id", row),
        "author_id": columns.value("posts.author_id", row),
        "created_at": rfc3339(created),
        "visibility": f"{columns.value('posts.visibility', row)}::text",
    }


def _first_problem(*conditions: str) -> str:
    return "CASE " + " ".join(condition for condition in conditions if condition) + " END"


def _nulls(*names: str, data: Mapping[str, str]) -> str:
    return " ".join(f"WHEN {data[name]} IS NULL THEN '{name} is null'" for name in names)


def _visibility(value: str) -> str:
    return (
        f"WHEN {value} IS NULL OR {value} NOT IN ('public', 'followers', 'private') THEN "
        f"'visibility is ' || coalesce(quote_literal({value}), 'null') || ', not public, followers or private'"
    )


def _out_of_range(name: str, instant: str) -> str:
    """Beyond the years that RFC 3339 can write."""
    return (
        f"WHEN {instant} IS NULL THEN '{name} is null' "
        f"WHEN NOT ({instant} >= '0001-01-01 00:00:00+00' AND {instant} < '9999-12-31 00:00:00+00') "
        f"THEN '{name} is beyond the years 1 to 9999'"
    )
