"""``POST /webhooks/email``: what the mail provider says of mails that bounced, and of people who complained.

Signed as Standard Webhooks has it: ``webhook-signature`` is ``v1,`` and the base64 of an HMAC-SHA256 of id, timestamp
and body, with dots between. A request older than five minutes is refused; one that comes twice changes nothing twice.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

import msgspec
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.mail import deliveries_sql as sql
from streams.mail.suppressions import Suppression, suppress
from streams.web.answers import json_response

WINDOW = timedelta(minutes=5)
MOST_BYTES = 256_000
SECONDS = re.compile(r"[0-9]{1,12}")


class Notice(msgspec.Struct, frozen=True):
    """``bounce`` is for good; what the provider will try again is no notice. ``address``, ``message_id`` or both."""

    type: Literal["bounce", "complaint"]
    address: str | None = None
    message_id: str | None = None
    reason: str | None = None


def add_email_webhook(
    app: web.Application, engine: AsyncEngine, secrets: str | None, now: Callable[[], datetime]
) -> None:
    """Serve it where the settings have a secret."""

    async def take(request: web.Request) -> web.Response:
        if secrets is None:
            raise web.HTTPForbidden(text="set TAILRACE_MAIL__WEBHOOK_SECRET and start `serve` again")
        body = await request.content.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise web.HTTPRequestEntityTooLarge(MOST_BYTES, len(body))
        _require_signature(request, body, secrets, now())
        notices = _notices(body)
        async with engine.begin() as connection:
            added = [await _keep(connection, notice) for notice in notices]
        return json_response({"notices": len(notices), "suppressed": sum(added)})

    app.router.add_post("/webhooks/email", take)


def signature(secret: str, message: str, timestamp: str, body: bytes) -> str:
    """What ``webhook-signature`` must hold. A secret that begins with ``whsec_`` is base64 after that."""
    signed = f"{message}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode()


def _key(secret: str) -> bytes:
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            return secret.encode()
    return secret.encode()


def _require_signature(request: web.Request, body: bytes, secrets: str, now: datetime) -> None:
    message, timestamp = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
    given = [part.encode() for part in request.headers.get("webhook-signature", "").split()]
    expected = [signature(secret.strip(), message, timestamp, body).encode() for secret in secrets.split(",")]
    if not any(hmac.compare_digest(one, right) for one in given for right in expected):
        raise web.HTTPUnauthorized(
            text="the signature is wrong: send webhook-id, webhook-timestamp and webhook-signature as Standard "
            "Webhooks has them, made with TAILRACE_MAIL__WEBHOOK_SECRET"
        )
    if not SECONDS.fullmatch(timestamp) or abs(now.timestamp() - int(timestamp)) > WINDOW.total_seconds():
        raise web.HTTPUnauthorized(text=f"webhook-timestamp={timestamp!r} is not within five minutes of now")


def _notices(body: bytes) -> list[Notice]:
    try:
        found = msgspec.json.decode(body, type=Notice | list[Notice])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        form = '{"type": "bounce", "address": "a@example.org"}'
        raise web.HTTPBadRequest(text=f"send {form}, or a list of such: {error}") from error
    notices = found if isinstance(found, list) else [found]
    if any(notice.address is None and notice.message_id is None for notice in notices):
        raise web.HTTPBadRequest(text="each notice needs an address or a message_id")
    return notices


async def _keep(connection: AsyncConnection, notice: Notice) -> bool:
    """Whether somebody is suppressed who was not."""
    reason, detail = _storable(notice.reason), None
    address = notice.address
    if notice.message_id:
        key = {"message_id": _storable(notice.message_id)}
        address = address or (await connection.execute(sql.RECIPIENT, key)).scalar_one_or_none()
        if notice.type == "bounce":
            await connection.execute(sql.CAME_BACK, {**key, "error": reason or "it came back"})
        detail = key["message_id"]
    if not address:
        return False
    kind: Literal["bounced", "complained"] = "bounced" if notice.type == "bounce" else "complained"
    known = Suppression.of_address(_storable(address) or "")
    return await suppress(connection, known, kind, reason or detail)


def _storable(text: str | None) -> str | None:
    return text.replace("\0", "").encode(errors="replace").decode()[:1000] if text else None
