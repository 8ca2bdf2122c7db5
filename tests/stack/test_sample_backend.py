"""The sample backend: a history without events, and traffic whose rows and events commit together."""

import random
from collections.abc import AsyncIterator

import msgspec
import pytest
import sqlalchemy as sa
from PIL import Image
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backend import backend_tables
from schemas.events import PostUploaded, UserCreated
from schemas.tables import outbox
from streams.db import engine_for
from streams.devstack.sample.history import PHOTOS, POSTS, USERS, create_sample
from streams.devstack.sample.traffic import Traffic
from streams.settings import Settings

BACKEND = backend_tables()


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    made = engine_for(settings.database)
    yield made
    await made.dispose()


@pytest.fixture
async def traffic(engine: AsyncEngine, settings: Settings) -> Traffic:
    await create_sample(engine, BACKEND, settings.media.root)
    return Traffic(engine, BACKEND, settings.media.root, random.Random(7))


async def _count(engine: AsyncEngine, table: sa.Table) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


async def test_the_history_is_made_once_and_emits_no_event(engine: AsyncEngine, settings: Settings) -> None:
    made = await create_sample(engine, BACKEND, settings.media.root)
    again = await create_sample(engine, BACKEND, settings.media.root)

    assert (made, again) == (True, False)
    assert await _count(engine, BACKEND.users) == USERS
    assert await _count(engine, BACKEND.posts) == POSTS
    assert await _count(engine, outbox) == 0
    assert len(list(settings.media.root.rglob("*.jpg"))) == PHOTOS


async def test_a_sign_up_commits_the_user_and_its_event(engine: AsyncEngine, traffic: Traffic) -> None:
    user_id = await traffic.sign_up()

    async with engine.connect() as connection:
        user = (await connection.execute(sa.select(BACKEND.users).filter_by(id=user_id))).one()
        event = (await connection.execute(sa.select(outbox))).one()
    fact = msgspec.json.decode(event.payload, type=UserCreated)
    assert (event.topic, event.key) == ("user.created", str(user_id).encode())
    assert (fact.user_id, fact.email, fact.username) == (user_id, user.email, user.username)
    assert traffic.emitted.users == [user_id]


async def test_posts_have_their_photos_in_place_and_their_tags_in_the_event(
    engine: AsyncEngine, traffic: Traffic, settings: Settings
) -> None:
    post_ids = [await traffic.post() for _ in range(12)]

    async with engine.connect() as connection:
        events = (await connection.execute(sa.select(outbox).order_by(outbox.c.id))).all()
        relations = (await connection.execute(sa.select(BACKEND.post_hashtags.c.post_id))).scalars().all()
    facts = [msgspec.json.decode(event.payload, type=PostUploaded) for event in events]
    assert [fact.post_id for fact in facts] == post_ids == traffic.emitted.posts
    for fact in facts:
        assert list(relations).count(fact.post_id) == len(fact.hashtags or ())
        if fact.image:
            with Image.open(settings.media.root / fact.image) as photo:
                photo.verify()
    pictured = [fact.post_id for fact in facts if fact.image]
    assert pictured == traffic.emitted.pictured != []
