"""The little that is asked of the worker and of the server over HTTP."""

from datetime import timedelta
from types import TracebackType
from typing import Any

import aiohttp

TIMEOUT = timedelta(seconds=5)


class LocalHttp:
    """``async with``: a client of what listens on 127.0.0.1. An error is an answer like another: None."""

    async def __aenter__(self) -> "LocalHttp":
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT.total_seconds()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def problem(self, address: str) -> str | None:
        """None if the address answers 200, else what it answers instead."""
        try:
            async with self._session.get(address) as response:
                return None if response.status == 200 else await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"nothing ({error!r})"

    async def top_tags(self, port: int, limit: int = 5) -> dict[str, Any] | None:
        """The answer to the top tags of the last hour, or None while there is none."""
        query = {"window": "1h", "limit": str(limit)}
        try:
            async with self._session.get(f"http://127.0.0.1:{port}/api/v1/trends/tags", params=query) as response:
                return await response.json() if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError):
            return None
