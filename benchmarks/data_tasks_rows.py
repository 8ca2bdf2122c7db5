"""The rows of ``benchmarks.data_tasks``: users who follow and post, as a backend would have them."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backend import backend_tables
from streams.db import autocommit

CHUNK = 200_000
DAYS = 400

# Counters are wrong at first, as they are where nobody has ever counted.
USERS = text("""
    INSERT INTO users (password, username, first_name, last_name, is_superuser, is_staff, is_active, is_verified,
                       last_login, date_joined, created_at, updated_at, email, bio, location, website,
                       followers_count, following_count, posts_count)
    SELECT 'pbkdf2_sha256$' || md5(number::text), 'user' || number, 'First' || number, 'Last', false, false, true,
           false, now() - random() * interval '60 days', now() - random() * interval '400 days', now(), now(),
           'user' || number || '@example.org', repeat('bio ', 20), 'Lyon', '', 0, 0, 0
      FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS number
""")

# Keys follow time, and older posts have more likes than they will ever get again.
POSTS = text("""
    INSERT INTO posts (content, image, video, visibility, is_pinned, likes_count, comments_count, shares_count,
                       views_count, created_at, updated_at, author_id)
    SELECT repeat('some words of a post ', 10), CASE WHEN number % 3 = 0 THEN 'posts/' || number || '.jpg' END, NULL,
           CASE WHEN number % 10 = 0 THEN 'followers' ELSE 'public' END, false,
           (random() * 50)::int, (random() * 10)::int, (random() * 5)::int, (random() * 900)::int,
           now() - (1 - number::float / :rows) * interval '400 days', now(), 1 + (random() * (:users - 1))::bigint
      FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS number
""")

# A few are followed by many.
FOLLOWS = text("""
    INSERT INTO follows (created_at, follower_id, following_id)
    SELECT now() - random() * interval '400 days', 1 + (random() * (:users - 1))::bigint,
           1 + (power(random(), 3) * (:users - 1))::bigint
      FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS number
    ON CONFLICT DO NOTHING
""")

TABLES = "users, posts, follows, comments, likes, shares, hashtags, post_hashtags, tailrace.post_engagement"


@dataclass(frozen=True)
class Rows:
    """How much there is of what."""

    users: int
    posts: int
    follows: int


async def create(engine: AsyncEngine) -> None:
    """The backend's tables, empty."""
    async with engine.begin() as connection:
        await connection.run_sync(backend_tables().metadata.create_all)


async def fill(engine: AsyncEngine, rows: Rows) -> None:
    """Exactly these, in pieces, and then as autovacuum leaves them."""
    async with engine.begin() as connection:
        await connection.execute(text(f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE"))
    for statement, count in ((USERS, rows.users), (POSTS, rows.posts), (FOLLOWS, rows.follows)):
        for first in range(1, count + 1, CHUNK):
            numbers = {"first": first, "last": min(first + CHUNK - 1, count), "rows": count, "users": rows.users}
            known = {name: numbers[name] for name in numbers if f":{name}" in statement.text}
            async with engine.begin() as connection:
                await connection.execute(statement, known)
    await settle(engine)


async def settle(engine: AsyncEngine) -> None:
    """Vacuumed, and everything on the disk, so that no measurement pays for what went before."""
    async with autocommit(engine) as connection:
        await connection.execute(text("VACUUM (ANALYZE)"))
        await connection.execute(text("CHECKPOINT"))
