"""What Tailrace keeps of a user and of a post."""

import uuid
from typing import Any

from schemas.events import Id, PostDeleted, UserDeleted
from schemas.tables import mail_deliveries, media_renditions
from tests.one_run import NOON, Workshop


def user_deleted(user_id: Id) -> UserDeleted:
    return UserDeleted(user_id=user_id, deleted_at=NOON)


def post_deleted(post_id: Id) -> PostDeleted:
    return PostDeleted(post_id=post_id, author_id=1, deleted_at=NOON)


async def a_mail_to_a_user(shop: Workshop) -> None:
    row = {"template": "welcome", "user_id": "7", "cause": "user:7", "message_id": "<7>", "recipient": "u7@example.org"}
    await shop.add(mail_deliveries, **row, subject="Welcome", state="sent", run_id=uuid.uuid4(), attempt=1)


async def recipients(shop: Workshop) -> list[Any]:
    return [(row["user_id"], row["recipient"]) for row in await shop.rows(mail_deliveries)]


async def rendered(shop: Workshop, post: str) -> None:
    """A post with one rendition."""
    key = f"renditions/{post}/a.webp"
    size = {"width": 1, "height": 1, "bytes": 1, "format": "webp", "recipe": "v1", "source": f"posts/{post}.jpg"}
    await shop.add(media_renditions, post_id=post, variant="w320", key=key, **size)
    await shop.storage.put({key: b"x"})


async def two_rendered_posts(shop: Workshop) -> None:
    await rendered(shop, "7")
    await rendered(shop, "71")


async def rendered_posts(shop: Workshop) -> list[Any]:
    return [row["post_id"] for row in await shop.rows(media_renditions)]
