"""A backend with old posts and everything that may refer to them."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import text

from agents.cleanup_old_posts import CleanupOldPosts, cleanup_old_posts
from schemas.tables_cleanup import deleted_posts
from streams.task import Done
from tests.data_ground import insert, keys_of, person
from tests.one_run import NOON, Workshop

YEARS_AGO = NOON - timedelta(days=900)


def switched_on(shop: Workshop, **settings: Any) -> Workshop:
    """The same with the clean-up of old posts enabled, and a share that few rows do not exceed."""
    values = {"old_posts_enabled": True, "old_posts_max_share": 1.0, **settings}
    cleanup = shop.settings.cleanup.model_copy(update=values)
    return replace(shop, settings=shop.settings.model_copy(update={"cleanup": cleanup}))


async def result(shop: Workshop, *, cause: str = "1", **args: Any) -> dict[str, Any]:
    outcome = await shop.run(cleanup_old_posts, CleanupOldPosts(**args), cause=cause)
    assert isinstance(outcome, Done), outcome
    return dict(outcome.result)


async def content_types(shop: Workshop) -> None:
    models = [{"id": 31, "app_label": "posts", "model": "post"}, {"id": 32, "app_label": "posts", "model": "comment"}]
    await insert(shop, shop.backend.content_types, models)


async def old_posts(shop: Workshop, count: int, **values: Any) -> list[Any]:
    """So many that match, of one author, and their keys."""
    keys = keys_of(shop.backend, count)
    await content_types(shop)
    await insert(shop, shop.backend.users, [person(1, keys[0])])
    row = {"author_id": keys[0], "content": "look", "created_at": YEARS_AGO, "visibility": "public", **values}
    await insert(shop, shop.backend.posts, [{"id": key, **row} for key in keys])
    return keys


async def company(shop: Workshop, post: Any, user: Any) -> None:
    """A tag, a bookmark, a notification and a report of this post, with odd characters in them."""
    backend, keys = shop.backend, keys_of(shop.backend, 3)
    await shop.add(backend.hashtags, id=keys[0], name="sea")
    await shop.add(backend.post_hashtags, id=keys[0], hashtag_id=keys[0], post_id=post)
    await shop.add(backend.bookmarks, id=keys[0], user_id=user, post_id=post)
    about = {"content_type_id": 31, "object_id": post, "id": keys[0]}
    told = {"recipient_id": user, "notification_type": "report", "message": "d'oh \\ \"\n :x \U0001f6a3"}
    await shop.add(backend.notifications, **about, **told)
    await shop.add(backend.reports, **about, reporter_id=user, reason="spam")


async def dump(shop: Workshop) -> dict[str, list[str]]:
    """Every row of the backend as PostgreSQL writes it."""
    found = {}
    async with shop.engine.connect() as connection:
        names = await connection.execute(
            text("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'app')")
        )
        for (name,) in names.all():
            rows = await connection.execute(text(f"SELECT row::text FROM {name} AS row ORDER BY 1"))
            found[name] = list(rows.scalars())
    return found


async def posts_left(shop: Workshop) -> list[Any]:
    async with shop.engine.connect() as connection:
        return list((await connection.execute(sa.select(shop.backend.posts.c.id).order_by("id"))).scalars())


async def an_old_post(shop: Workshop) -> None:
    await old_posts(shop, 1)


async def binned(shop: Workshop, post: str, *, days: float, files: Sequence[str] = ()) -> None:
    """A post that was deleted so many days ago."""
    row = {"post_id": post, "author_id": "1", "run_id": uuid.uuid4(), "rows": [], "files": list(files)}
    await shop.add(deleted_posts, **row, deleted_at=NOON - timedelta(days=days))


async def an_overdue_post_and_a_fresh_one(shop: Workshop) -> None:
    await binned(shop, "1", days=31)
    await binned(shop, "2", days=29)


async def in_the_bin(shop: Workshop) -> list[Any]:
    return [row["post_id"] for row in await shop.rows(deleted_posts)]
