"""The sample backend's tables and what happened before Tailrace came: no event tells of it."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.backend import BackendTables
from streams.devstack.sample.fashion import Fashion
from streams.devstack.sample.people import FIRST_NAMES, LAST_NAMES, SENTENCES, TAGS
from streams.devstack.sample.photos import keep, make_photo

USERS, POSTS, PHOTOS, FOLLOWS, LIKES = 300, 400, 20, 1500, 800
DAYS = 60


async def create_sample(engine: AsyncEngine, backend: BackendTables, media_root: Path) -> bool:
    """Create the tables that are missing, and the history if there is none. True if it was made now."""
    async with engine.begin() as connection:
        await connection.run_sync(backend.metadata.create_all)
        if (await connection.execute(sa.select(backend.users.c.id).limit(1))).first():
            return False
        rng = random.Random(1843)  # noqa: S311 - the same history everywhere
        await asyncio.to_thread(_make_photos, media_root)
        await _insert_history(connection, backend, rng)
    return True


def _photo_key(number: int) -> str:
    return f"posts/history/{number}.jpg"


def _make_photos(media_root: Path) -> None:
    for number in range(PHOTOS):
        keep(make_photo(_photo_key(number), random.Random(number)), media_root)  # noqa: S311 - as above


async def _insert_history(connection: AsyncConnection, backend: BackendTables, rng: random.Random) -> None:
    now = datetime.now(UTC)
    users = await _insert(connection, backend.users, [_user(rng, now, n) for n in range(USERS)])
    posts = await _insert(connection, backend.posts, [_post(rng, now, n, users) for n in range(POSTS)])
    await _insert_tags(connection, backend, rng, posts)
    models = [{"app_label": "posts", "model": model} for model in ("post", "comment")]
    content_types = await _insert(connection, backend.content_types, models)
    pairs = {(rng.choice(users), rng.choice(users)) for _ in range(FOLLOWS)}
    follows = [{"follower_id": one, "following_id": other} for one, other in sorted(pairs) if one != other]
    await _insert(connection, backend.follows, follows)
    liked = {(rng.choice(users), rng.choice(posts)) for _ in range(LIKES)}
    kind = content_types[0]
    likes = [{"user_id": user, "object_id": post, "content_type_id": kind} for user, post in sorted(liked)]
    await _insert(connection, backend.likes, likes)


async def _insert(connection: AsyncConnection, table: sa.Table, rows: list[dict[str, Any]]) -> list[int]:
    statement = table.insert().returning(table.c.id, sort_by_parameter_order=True)
    return list((await connection.execute(statement, rows)).scalars())


def _user(rng: random.Random, now: datetime, number: int) -> dict[str, Any]:
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    username = f"{first}.{last}{number}".lower()
    joined = now - timedelta(days=rng.uniform(3, DAYS))
    return {
        "username": username,
        "email": f"{username}@example.org",
        "first_name": first,
        "last_name": last,
        "last_login": now - timedelta(days=rng.uniform(0, 20)),
        "date_joined": joined,
        "created_at": joined,
        "updated_at": joined,
    }


def _post(rng: random.Random, now: datetime, number: int, authors: list[int]) -> dict[str, Any]:
    posted = now - timedelta(days=rng.uniform(3, DAYS))
    return {
        "content": rng.choice(SENTENCES),
        "image": _photo_key(number) if number < PHOTOS else None,
        "visibility": rng.choice(("public", "public", "public", "followers", "private")),
        "views_count": rng.randrange(500),
        "created_at": posted,
        "updated_at": posted,
        "author_id": rng.choice(authors),
    }


async def _insert_tags(
    connection: AsyncConnection, backend: BackendTables, rng: random.Random, posts: list[int]
) -> None:
    fashion = Fashion(TAGS, rng)
    used = {post: fashion.tags_of_a_post() for post in posts}
    counts = {tag: sum(tag in tags for tags in used.values()) for tag in TAGS}
    rows = [{"name": tag, "posts_count": count} for tag, count in counts.items()]
    ids = dict(zip(counts, await _insert(connection, backend.hashtags, rows), strict=True))
    relations = [{"post_id": post, "hashtag_id": ids[tag]} for post, tags in used.items() for tag in tags]
    await _insert(connection, backend.post_hashtags, relations)
