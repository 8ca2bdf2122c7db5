"""Rows of a backend that have had their time, beside some that have not."""

import base64
import json
import zlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from tests.data_ground import column
from tests.one_run import NOON, Workshop

LONG_AGO = NOON - timedelta(days=40)
LATELY = NOON - timedelta(days=3)


def session_of(content: Mapping[str, Any], *, compressed: bool = False) -> str:
    """Session data in Django's form, signed by nobody."""
    raw = json.dumps(content).encode()
    text = base64.urlsafe_b64encode(zlib.compress(raw) if compressed else raw).decode().rstrip("=")
    return f"{'.' if compressed else ''}{text}:1xWYR7:signature"


async def add_session(shop: Workshop, key: str, user: object = None, *, days: float = 7, data: str = "") -> None:
    """One that expires in so many days, of this user if there is one."""
    content = {} if user is None else {"_auth_user_id": str(user)}
    row = {"session_key": key, "session_data": data or session_of(content), "expire_date": NOON + timedelta(days=days)}
    await shop.add(shop.backend.sessions, **row)


async def values(shop: Workshop, of: "sa.Column[Any]") -> list[Any]:
    """This column of every row, sorted."""
    return sorted(value for (value,) in await column(shop, of))


async def session_keys(shop: Workshop) -> list[Any]:
    return await values(shop, shop.backend.sessions.c.session_key)


async def expired_and_live_sessions(shop: Workshop) -> None:
    await shop.add_user(7)
    await add_session(shop, "expired", 7, days=-1)
    await add_session(shop, "live", 7)


async def a_recipient(shop: Workshop) -> None:
    await shop.add_user(7)


async def add_notification(shop: Workshop, number: int, *, days: float, is_read: bool) -> None:
    """One that user 7 got so many days ago."""
    row = {"id": number, "recipient_id": 7, "notification_type": "like", "is_read": is_read}
    await shop.add(shop.backend.notifications, **row, created_at=NOON - timedelta(days=days))


async def notifications(shop: Workshop) -> list[Any]:
    return await column(shop, shop.backend.notifications.c.recipient_id, shop.backend.notifications.c.message)


async def old_and_new_notifications(shop: Workshop) -> None:
    await shop.add_user(7)
    await add_notification(shop, 1, days=40, is_read=True)
    await add_notification(shop, 2, days=1, is_read=True)
