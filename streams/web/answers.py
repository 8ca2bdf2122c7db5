"""JSON answers: instants as RFC 3339, never cached."""

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web


def json_response(data: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """``data`` of plain values, datetimes, uuids and dataclasses as a JSON answer."""
    return web.Response(
        body=msgspec.json.encode(data),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
