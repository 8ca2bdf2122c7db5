"""``tailrace.emit()``: what a backend may say, with which rights, and that SQL and Python give one cause one id."""

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest

from schemas.events import FACTS

TIME = "2026-03-04T12:00:00.250000Z"
POST = {"post_id": 11, "author_id": 7, "created_at": TIME, "visibility": "public"}
DATA: list[tuple[str, dict[str, Any]]] = [
    ("user.created", {"user_id": 7, "email": "a@example.org", "username": "a", "created_at": TIME}),
    ("user.created", {"user_id": "5f0c", "email": "a@example.org", "username": "a", "created_at": TIME}),
    ("post.uploaded", POST),
    ("post.uploaded", {**POST, "image": "posts/11.jpg"}),
    ("post.uploaded", {**POST, "image": "", "video": "v.mp4"}),
    ("post.uploaded", {**POST, "image": None, "video": None}),
    ("post.uploaded", {**POST, "image": "a.jpg", "video": "v.mp4"}),
    ("post.tagged", {**POST, "hashtags": ["sea", "Boats", "boats", "ärger", "\U0001f6a3", "z"]}),
    ("post.tagged", {**POST, "hashtags": []}),
    ("user.deleted", {"user_id": 7, "deleted_at": TIME}),
    ("post.deleted", {"post_id": "5f0c", "author_id": 7, "deleted_at": TIME}),
]


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(database_url)
    yield opened
    await opened.close()


async def _emit(connection: asyncpg.Connection, event_type: str, data: Any) -> asyncpg.Record:
    row_id = await connection.fetchval("SELECT tailrace.emit($1, '7', $2)", event_type, json.dumps(data))
    row = await connection.fetchrow("SELECT * FROM tailrace.outbox WHERE id = $1", row_id)
    assert row is not None
    return row


@pytest.mark.parametrize(("event_type", "data"), DATA)
async def test_one_cause_has_one_id_in_sql_and_in_python(
    connection: asyncpg.Connection, event_type: str, data: dict[str, Any]
) -> None:
    fact = msgspec.convert(data, FACTS[event_type])

    row = await _emit(connection, event_type, data)

    headers = dict(json.loads(row["headers"]))
    assert headers["ce_id"] == fact.natural_id
    assert headers["ce_time"] == TIME
    assert row["occurred_at"] == fact.occurred_at


async def test_an_event_exists_only_if_its_transaction_commits(connection: asyncpg.Connection) -> None:
    transaction = connection.transaction()
    await transaction.start()
    await _emit(connection, *DATA[0])

    await transaction.rollback()

    assert await connection.fetchval("SELECT count(*) FROM tailrace.outbox") == 0


async def test_headers_of_the_caller_go_along_and_may_name_another_source(connection: asyncpg.Connection) -> None:
    given = json.dumps({"traceparent": "00-a-b-01", "ce_source": "/legacy", "ce_id": "x"})

    await connection.execute("SELECT tailrace.emit($1, '7', $2, $3)", DATA[0][0], json.dumps(DATA[0][1]), given)

    headers = dict(json.loads(await connection.fetchval("SELECT headers FROM tailrace.outbox")))
    assert (headers["traceparent"], headers["ce_source"], headers["ce_id"]) == ("00-a-b-01", "/legacy", "x")


@pytest.mark.parametrize(
    ("event_type", "data", "message"),
    [
        ("user.renamed", {"user_id": 7}, "user.renamed is not an event type"),
        ("user.created", {"email": "a@example.org"}, "needs user_id in its data"),
        ("post.tagged", {"hashtags": ["sea"]}, "needs post_id in its data"),
        ("user.deleted", {"deleted_at": TIME}, "needs user_id in its data"),
        ("post.deleted", {"deleted_at": TIME}, "needs post_id in its data"),
        ("user.created", ["a"], "is array, not a JSON object"),
        ("user.created", {**DATA[0][1], "created_at": "yesterday evening"}, "created_at of user.created is no instant"),
        ("post.deleted", {**DATA[-1][1], "deleted_at": "infinity"}, "beyond the years 1 to 9999: infinity"),
    ],
)
async def test_what_cannot_be_an_event_is_refused_at_once(
    connection: asyncpg.Connection, event_type: str, data: Any, message: str
) -> None:
    with pytest.raises(asyncpg.RaiseError, match=message):
        await _emit(connection, event_type, data)


async def test_a_backend_needs_only_the_rights_that_the_guide_names(connection: asyncpg.Connection) -> None:
    role = f"backend_{uuid.uuid4().hex[:8]}"
    await connection.execute(f"""
        CREATE ROLE {role};
        GRANT USAGE ON SCHEMA tailrace TO {role};
        SET ROLE {role};
    """)

    row_id = await connection.fetchval("SELECT tailrace.emit($1, '7', $2)", DATA[0][0], json.dumps(DATA[0][1]))

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetch("SELECT * FROM tailrace.outbox")
    await connection.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")
    assert await connection.fetchval("SELECT topic FROM tailrace.outbox WHERE id = $1", row_id) == "user.created"
