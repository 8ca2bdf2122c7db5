"""The test's backend: rows as Django writes them, and the event in the same transaction."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from PIL import Image
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.backend import backend_tables
from schemas.events import Fact, PostUploaded, UserCreated
from schemas.facts import event_type_of
from tests.events import EMIT

BACKEND = backend_tables()


async def say(connection: AsyncConnection, fact: Fact) -> None:
    """``tailrace.emit`` in the caller's transaction."""
    data = msgspec.json.encode(fact).decode()
    await connection.execute(EMIT, {"type": event_type_of(fact), "key": str(fact.key), "data": data})


async def sign_up(engine: AsyncEngine, number: int) -> int:
    """A user and the event; the user's id."""
    now = datetime.now(UTC)
    fact = UserCreated(user_id=0, email=f"user{number}@example.org", username=f"user{number}", created_at=now)
    row = {"username": fact.username, "email": fact.email, "date_joined": now, "is_active": True}
    async with engine.begin() as connection:
        statement = insert(BACKEND.users).values(**row).returning(BACKEND.users.c.id)
        user_id = int((await connection.execute(statement)).scalar_one())
        await say(connection, msgspec.structs.replace(fact, user_id=user_id))
    return user_id


async def upload(engine: AsyncEngine, author_id: int, image: str | None, hashtags: Sequence[str] = ()) -> int:
    """A public post and the event; the post's id."""
    now = datetime.now(UTC)
    row = {"author_id": author_id, "content": "look", "image": image, "visibility": "public", "created_at": now}
    async with engine.begin() as connection:
        statement = insert(BACKEND.posts).values(**row, updated_at=now).returning(BACKEND.posts.c.id)
        post_id = int((await connection.execute(statement)).scalar_one())
        fact = PostUploaded(
            post_id=post_id, author_id=author_id, created_at=now, visibility="public", image=image, hashtags=[*hashtags]
        )
        await say(connection, fact)
    return post_id


def photo(root: Path, key: str, size: tuple[int, int] = (1300, 900)) -> str:
    """A JPEG under the media root; its key."""
    place = root / key
    place.parent.mkdir(parents=True, exist_ok=True)
    out = io.BytesIO()
    Image.radial_gradient("L").resize(size).convert("RGB").save(out, "JPEG", quality=60)
    place.write_bytes(out.getvalue())
    return key
