"""Files of a shadow replay: what it writes lies in a folder of its own; what it has not written it reads live."""

from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path

from streams.media.errors import MissingMedia
from streams.media.storage import Content, Storage, Stored
from streams.replay.shadow.scratch import Scratch


class ShadowStorage:
    """A ``Storage`` in front of the live one, which it never changes but for its own folder."""

    def __init__(self, live: Storage, scratch: Scratch) -> None:
        self._live = live
        self._folder = scratch.folder

    async def get(self, key: str, max_bytes: int) -> bytes:
        """As ``Storage.get``."""
        try:
            return await self._live.get(self._own(key), max_bytes)
        except MissingMedia:
            return await self._live.get(key, max_bytes)

    async def fetch(self, key: str, folder: Path, max_bytes: int) -> Path:
        """As ``Storage.fetch``."""
        try:
            return await self._live.fetch(self._own(key), folder, max_bytes)
        except MissingMedia:
            return await self._live.fetch(key, folder, max_bytes)

    async def put(self, files: Mapping[str, Content]) -> None:
        """As ``Storage.put``."""
        await self._live.put({self._own(key): content for key, content in files.items()})

    async def delete(self, keys: Iterable[str]) -> None:
        """Of its own files only."""
        await self._live.delete([self._own(key) for key in keys])

    async def exists(self, key: str) -> bool:
        """As ``Storage.exists``."""
        return await self._live.exists(self._own(key)) or await self._live.exists(key)

    async def list(self, prefix: str) -> AsyncIterator[Stored]:
        """What is live."""
        async for found in self._live.list(prefix):
            yield found

    async def written(self) -> AsyncIterator[str]:
        """The keys of what it has written, as tasks name them."""
        async for found in self._live.list(self._folder):
            yield found.key.removeprefix(f"{self._folder}/")

    async def remove_all(self) -> None:
        """Delete what it has written."""
        await self._live.delete([self._own(key) async for key in self.written()])

    def _own(self, key: str) -> str:
        return f"{self._folder}/{key}"
