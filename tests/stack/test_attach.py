"""What triggers say of a backend's rows, with which ids, and that they never fail its statements."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from schemas.backend import backend_tables
from tests.attaching import add_user, attach_to, ids, insert, said, set_aside

BACKEND = backend_tables()
NOW = datetime(2026, 3, 4, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """On an attached backend with one user, whose event is forgotten."""
    opened = await asyncpg.connect(database_url)
    await attach_to(opened, database_url)
    await add_user(opened, BACKEND, id=7)
    await opened.execute("DELETE FROM tailrace.outbox")
    yield opened
    await opened.close()


async def add_post(connection: asyncpg.Connection, post_id: int, **values: object) -> None:
    row = {"id": post_id, "author_id": 7, "content": "look", "visibility": "public", "created_at": NOW, **values}
    await insert(connection, BACKEND.posts, row)


async def test_a_user_is_said_whole_and_at_its_own_time(connection: asyncpg.Connection) -> None:
    await connection.execute("SET TIME ZONE 'Asia/Tokyo'; SET datestyle = 'German'")

    await add_user(connection, BACKEND, id=8, username="bo", first_name="Bo", date_joined=NOW)

    ((event_id, fact),) = await said(connection)
    assert event_id == "user.created:8"
    assert (fact.email, fact.username, fact.first_name, fact.created_at) == ("bo@example.org", "bo", "Bo", NOW)


async def test_rows_of_one_statement_are_said_in_their_order(connection: asyncpg.Connection) -> None:
    rows = [{"id": n, "author_id": 7, "created_at": NOW, "visibility": "public"} for n in range(40, 20, -1)]

    await insert(connection, BACKEND.posts, *rows)

    assert await ids(connection) == [f"post.uploaded:{n}" for n in range(40, 20, -1)]


async def test_a_picture_that_is_attached_later_is_said_once(connection: asyncpg.Connection) -> None:
    await add_post(connection, 1)
    for change in ("image = 'a.jpg'", "image = 'a.jpg', likes_count = 3", "video = 'v.mp4'", "image = ''"):
        await connection.execute(f"UPDATE posts SET {change} WHERE id = 1")

    assert await ids(connection) == ["post.uploaded:1", "post.uploaded:1:a.jpg", "post.uploaded:1:a.jpg:v.mp4"]


async def test_tags_that_come_in_other_transactions_are_said_once_each(connection: asyncpg.Connection) -> None:
    await add_post(connection, 1)
    await insert(connection, BACKEND.hashtags, {"id": 1, "name": "sea"}, {"id": 2, "name": "Boats"})
    tagged = datetime(2026, 3, 4, 13, tzinfo=UTC)

    await insert(connection, BACKEND.post_hashtags, {"post_id": 1, "hashtag_id": 1, "created_at": tagged})
    await insert(connection, BACKEND.post_hashtags, {"post_id": 1, "hashtag_id": 2, "created_at": tagged})

    events = (await said(connection))[1:]
    assert [event_id for event_id, _ in events] == ["post.tagged:1:sea", "post.tagged:1:Boats"]
    assert [(fact.hashtags, fact.created_at, fact.key) for _, fact in events] == [
        (["sea"], tagged, 7),
        (["Boats"], tagged, 7),
    ]


async def test_what_is_deleted_is_said_by_its_id(connection: asyncpg.Connection) -> None:
    await add_post(connection, 1)
    await connection.execute("DELETE FROM tailrace.outbox; DELETE FROM posts; DELETE FROM users")

    assert await ids(connection) == ["post.deleted:1", "user.deleted:7"]


async def test_a_transaction_that_is_rolled_back_says_nothing(connection: asyncpg.Connection) -> None:
    transaction = connection.transaction()
    await transaction.start()
    await add_post(connection, 1)

    await transaction.rollback()

    assert await connection.fetchval("SELECT count(*) FROM tailrace.outbox") == 0


@pytest.mark.parametrize(
    ("change", "statement", "error"),
    [
        ("SELECT 1", "INSERT INTO posts (id, visibility) VALUES (1, 'odd')", "visibility is 'odd', not public"),
        ("SELECT 1", "INSERT INTO posts (id, created_at) VALUES (1, 'infinity')", "beyond the years"),
        ("ALTER TABLE posts ALTER author_id DROP NOT NULL", "INSERT INTO posts VALUES (1)", "author_id is null"),
        ("ALTER TABLE posts RENAME visibility TO seen_by", "INSERT INTO posts (id) VALUES (1)", "does not exist"),
        ("ALTER TABLE tailrace.outbox ADD CHECK (state <> 'pending')", "INSERT INTO posts (id) VALUES (1)", "outbox"),
    ],
)
async def test_what_cannot_be_said_is_set_aside_with_key_and_error(
    connection: asyncpg.Connection, change: str, statement: str, error: str
) -> None:
    await _give_posts_defaults(connection)
    await connection.execute(change)
    if "author_id" in change:
        await connection.execute("ALTER TABLE posts ALTER author_id SET DEFAULT NULL")

    await connection.execute(statement)

    (row,) = await set_aside(connection)
    assert error in row["error"]
    assert row["key"] in (b"7", b"1", None)
    assert await connection.fetchval("SELECT count(*) FROM posts") == 1


async def test_without_an_outbox_the_backend_goes_on_and_the_server_s_log_says_what_was_lost(
    connection: asyncpg.Connection,
) -> None:
    warnings: list[str] = []
    connection.add_log_listener(lambda _, message: warnings.append(str(message)))
    await connection.execute("DROP TABLE tailrace.outbox")

    await add_post(connection, 11)

    assert await connection.fetchval("SELECT count(*) FROM posts") == 1
    assert any("post.uploaded is not said for 11" in warning for warning in warnings)


async def test_a_role_that_may_only_insert_posts_still_does(connection: asyncpg.Connection) -> None:
    await _give_posts_defaults(connection)
    role = f"app_{connection.get_server_pid()}"
    await connection.execute(f"CREATE ROLE {role}; GRANT INSERT ON posts TO {role}; SET ROLE {role}")

    await connection.execute("INSERT INTO posts (id) VALUES (5)")

    await connection.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")
    assert await ids(connection) == ["post.uploaded:5"]


async def test_the_backend_s_own_migrations_may_change_and_drop_the_columns(connection: asyncpg.Connection) -> None:
    await connection.execute("ALTER TABLE posts ALTER image TYPE varchar(255); ALTER TABLE posts DROP video")

    await add_post_without_video(connection)

    assert "video" in (await set_aside(connection))[0]["error"]


async def add_post_without_video(connection: asyncpg.Connection) -> None:
    await _give_posts_defaults(connection)
    await connection.execute("INSERT INTO posts (id, image) VALUES (1, 'a.jpg')")


async def _give_posts_defaults(connection: asyncpg.Connection) -> None:
    await connection.execute("""
        ALTER TABLE posts ALTER content SET DEFAULT '', ALTER visibility SET DEFAULT 'public',
            ALTER author_id SET DEFAULT 7, ALTER is_pinned SET DEFAULT false, ALTER likes_count SET DEFAULT 0,
            ALTER comments_count SET DEFAULT 0, ALTER shares_count SET DEFAULT 0, ALTER views_count SET DEFAULT 0,
            ALTER created_at SET DEFAULT now(), ALTER updated_at SET DEFAULT now()
    """)
