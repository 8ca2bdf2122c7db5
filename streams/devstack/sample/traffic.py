"""People sign up and post. Each row and its event commit together, as a backend with Tailrace would do it."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.backend import BackendTables
from schemas.events import Fact, PostUploaded, UserCreated, Visibility
from streams.db import is_passing
from streams.devstack.sample.fashion import Fashion
from streams.devstack.sample.people import (
    FIRST_NAMES,
    LAST_NAMES,
    LOCALES,
    SENTENCES,
    TAGS,
    TIME_ZONES,
)
from streams.devstack.sample.photos import keep, make_photo

EMIT = sa.text("SELECT tailrace.emit(:type, :key, CAST(:data AS jsonb))")
AFTER_ERROR = 1.0
WITH_PHOTO = 0.8


@dataclass
class Emitted:
    """What was committed with an event: the ids, and the uses of tags in public posts."""

    users: list[int] = field(default_factory=list)
    posts: list[int] = field(default_factory=list)
    pictured: list[int] = field(default_factory=list)
    tags: Counter[str] = field(default_factory=Counter)

    @property
    def events(self) -> int:
        return len(self.users) + len(self.posts)


class Traffic:
    """Signs up and posts until stopped. ``emitted`` says what has been committed so far."""

    def __init__(
        self,
        engine: AsyncEngine,
        backend: BackendTables,
        media_root: Path,
        rng: random.Random,
        users_per_second: float = 2,
        posts_per_second: float = 4,
    ) -> None:
        self.emitted = Emitted()
        self._engine, self._backend, self._media_root, self._rng = engine, backend, media_root, rng
        self._rates = users_per_second, posts_per_second
        self._fashion = Fashion(TAGS, rng)
        self._authors: list[int] = []
        self._stopping = asyncio.Event()

    async def run(self, say: Callable[[str], None]) -> None:
        """Live. While the database is away ``say`` is told, and people try again."""
        users, posts = self._rates
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(self.sign_up, users, say))
            group.create_task(self._repeat(self.post, posts, say))

    def stop(self) -> None:
        """``run`` ends after what it is at, so that ``emitted`` has all that was committed."""
        self._stopping.set()

    async def sign_up(self) -> int:
        """One user and its ``user.created``. Returns the user's id."""
        rng, users = self._rng, self._backend.users
        first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
        now = datetime.now(UTC)
        async with self._engine.begin() as connection:
            user_id = await _next_id(connection, users)
            username = f"{first}.{last}{user_id}".lower()
            email = f"{username}@example.org"
            row = {"id": user_id, "username": username, "email": email, "created_at": now}
            names = {"first_name": first, "last_name": last}
            await connection.execute(users.insert().values(row | names))
            fact = UserCreated(
                user_id=user_id,
                email=email,
                username=username,
                first_name=first,
                locale=rng.choice(LOCALES),
                time_zone=rng.choice(TIME_ZONES),
                created_at=now,
            )
            await _emit(connection, "user.created", fact)
        self.emitted.users.append(user_id)
        return user_id

    async def post(self) -> int:
        """One post, mostly with a photo, its tags and its ``post.uploaded``. Returns the post's id."""
        rng = self._rng
        image = await self._photo() if rng.random() < WITH_PHOTO else None
        tags = self._fashion.tags_of_a_post()
        text = " ".join([rng.choice(SENTENCES), *(f"#{tag}" for tag in tags)])
        visibility: Visibility = "public" if rng.random() < 0.9 else rng.choice(get_args(Visibility))
        author, now = await self._author(), datetime.now(UTC)
        async with self._engine.begin() as connection:
            post_id = await _next_id(connection, self._backend.posts)
            fact = PostUploaded(
                post_id=post_id,
                author_id=author,
                created_at=now,
                visibility=visibility,
                image=image,
                hashtags=tags,
                text=text,
            )
            await self._insert_post(connection, fact)
            await _emit(connection, "post.uploaded", fact)
        self._count(post_id, fact)
        return post_id

    async def _repeat(self, act: Callable[[], Awaitable[int]], rate: float, say: Callable[[str], None]) -> None:
        while not self._stopping.is_set():
            try:
                await act()
            except Exception as error:
                if not is_passing(error):
                    raise
                say(f"the sample backend waits for its database: {error!r}")
                await self._pause(AFTER_ERROR)
            await self._pause(self._rng.expovariate(rate))

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _photo(self) -> str:
        """The key of a photo that is in its place: before the row that names it."""
        key = f"posts/{datetime.now(UTC):%Y/%m/%d}/{self._rng.randbytes(8).hex()}.jpg"
        look = random.Random(self._rng.random())  # noqa: S311 - a picture, no secret
        await asyncio.to_thread(lambda: keep(make_photo(key, look), self._media_root))
        return key

    async def _author(self) -> int:
        if not self._authors:
            async with self._engine.connect() as connection:
                rows = await connection.execute(sa.select(self._backend.users.c.id).limit(1000))
                self._authors = list(rows.scalars())
        return self._rng.choice(self._authors + self.emitted.users[-200:])

    async def _insert_post(self, connection: AsyncConnection, fact: PostUploaded) -> None:
        backend = self._backend
        row = {
            "id": fact.post_id,
            "content": fact.text,
            "image": fact.image,
            "visibility": fact.visibility,
            "created_at": fact.created_at,
            "author_id": fact.author_id,
        }
        await connection.execute(backend.posts.insert().values(row))
        for tag in fact.hashtags or ():
            hashtags = backend.hashtags
            upsert = insert(hashtags).values(name=tag, posts_count=1)
            more = {hashtags.c.posts_count.name: hashtags.c.posts_count + 1}
            upsert = upsert.on_conflict_do_update(index_elements=[hashtags.c.name], set_=more)
            hashtag_id = (await connection.execute(upsert.returning(hashtags.c.id))).scalar_one()
            relation = {"hashtag_id": hashtag_id, "post_id": fact.post_id}
            await connection.execute(backend.post_hashtags.insert().values(relation))

    def _count(self, post_id: int, fact: PostUploaded) -> None:
        self.emitted.posts.append(post_id)
        if fact.image:
            self.emitted.pictured.append(post_id)
        if fact.visibility == "public":
            self.emitted.tags.update(fact.hashtags or ())


async def _next_id(connection: AsyncConnection, table: sa.Table) -> int:
    sequence = sa.func.pg_get_serial_sequence(f"{table.schema}.{table.name}", table.c.id.name)
    return int((await connection.execute(sa.select(sa.func.nextval(sequence)))).scalar_one())


async def _emit(connection: AsyncConnection, kind: str, fact: Fact) -> None:
    data = msgspec.json.encode(fact).decode()
    await connection.execute(EMIT, {"type": kind, "key": str(fact.key), "data": data})
