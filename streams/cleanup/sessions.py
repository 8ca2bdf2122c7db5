"""Whose a session of Django is, and which sessions nobody will miss."""

import base64
import binascii
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.backend_rows import as_id_of
from streams.cleanup.batches import Batches, is_one_of
from streams.cleanup.signs_of_life import SignsOfLife

PAGE = 1_000
"""Sessions that are read and decoded at a time: a few milliseconds."""

MAX_BYTES = 1_000_000
"""Of one session, unpacked; nobody keeps so much in one, but a compressed one could claim it."""


class Undecodable(Exception):
    """Not a session of Django's JSON serializer, which is the only one since Django 5."""


class Payload(msgspec.Struct):
    """What a session says of its user; anonymous ones say nothing."""

    user_id: str | int | None = msgspec.field(name="_auth_user_id", default=None)


def user_of(session_data: str) -> str | None:
    """The user's id, or None of an anonymous session. Raises ``Undecodable``.

    ``payload:time:signature``, as ``django.core.signing.dumps(..., compress=True)`` makes it: base64 of JSON, behind
    a dot where it is compressed. The signature needs the backend's secret key, and keeps nobody from reading.
    """
    payload, *signed = session_data.rsplit(":", 2)
    if len(signed) != 2:
        raise Undecodable("it is not signed as Django 3.1 and later sign")
    try:
        content = _unpacked(payload)
        found = msgspec.json.decode(content, type=Payload).user_id
    except (binascii.Error, zlib.error, msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Undecodable(repr(error)) from error
    return None if found is None else str(found)


def _unpacked(payload: str) -> bytes:
    text = payload.removeprefix(".")
    content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if not payload.startswith("."):
        return content
    unpacking = zlib.decompressobj()
    unpacked = unpacking.decompress(content, MAX_BYTES)
    if not unpacking.eof:
        raise ValueError("it is cut off, or larger than a session is")
    return unpacked


async def delete_of_inactive_users(
    batches: Batches, sessions: sa.Table, life: SignsOfLife, now: datetime
) -> Mapping[str, int]:
    """Sessions that have not expired, and whose user is gone, deactivated or has shown no sign of life for long.

    Those that cannot be decoded stay until they expire.
    """
    counts, last = Counter({"inactive_sessions": 0, "undecodable_sessions": 0, "scanned_sessions": 0}), ""
    while page := await _page(batches.engine, sessions, now, last):
        users = {}
        for row in page:
            try:
                users[row.session_key] = user_of(row.session_data)
            except Undecodable:
                counts["undecodable_sessions"] += 1
        unknown, gone = await _gone(batches.engine, life, users)
        counts["undecodable_sessions"] += unknown
        counts["scanned_sessions"] += len(page)
        if gone:
            counts["inactive_sessions"] += (await batches.delete(sessions, is_one_of(sessions.c.session_key, gone)))[0]
        last = page[-1].session_key
    return counts


async def _page(engine: AsyncEngine, sessions: sa.Table, now: datetime, after: str) -> Sequence[Any]:
    key, data = sessions.c.session_key, sessions.c.session_data
    columns = key.label("session_key"), data.label("session_data")
    alive = sa.and_(key > after, sessions.c.expire_date >= now)
    async with engine.connect() as connection:
        return (await connection.execute(sa.select(*columns).where(alive).order_by(key).limit(PAGE))).all()


async def _gone(engine: AsyncEngine, life: SignsOfLife, users: Mapping[str, str | None]) -> tuple[int, list[str]]:
    """How many name no user that this backend could have, and the keys of the sessions that may go."""
    ids = {key: as_id_of(life.users.c.id, user) for key, user in users.items() if user is not None}
    unknown = [key for key, user in ids.items() if user is None]
    alive = await life.of(engine, {user for user in ids.values() if user is not None})
    return len(unknown), [key for key, user in ids.items() if user is not None and user not in alive]
