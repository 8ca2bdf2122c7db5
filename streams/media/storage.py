"""Where media files are: a folder, or a store of objects such as S3. Keys are the same in both."""

from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from streams.media.local_folder import LocalFolder
from streams.media.object_store import ObjectStore
from streams.media.stored import Content, Stored
from streams.task_settings import Media

__all__ = ["Content", "Storage", "Stored", "storage_of"]


class Storage(Protocol):
    """Files by key, relative to the media root.

    Every method raises ``BadMedia`` for what is no key of a file or leads out of the root, and ``StorageFailed``
    for what may pass: a server that does not answer, a disk that is full, a login that is refused.
    """

    async def get(self, key: str, max_bytes: int) -> bytes:
        """The file's content. Raises ``MissingMedia``, and ``BadMedia`` for an empty or a larger one."""

    async def fetch(self, key: str, folder: Path, max_bytes: int) -> Path:
        """A path to read the file at, which is one in ``folder`` unless the file is on this machine. Not for
        writing. Raises as ``get``.
        """

    async def put(self, files: Mapping[str, Content]) -> None:
        """Write each content, bytes or a local file, at its key. A reader sees the old file or the new one,
        never a part of either; when this returns they survive a loss of power.
        """

    async def delete(self, keys: Iterable[str]) -> None:
        """These are gone. A key without a file is none the less deleted."""

    async def exists(self, key: str) -> bool:
        """Whether there is a file at the key."""

    def list(self, prefix: str) -> AsyncIterator[Stored]:
        """Every file below this folder, in no order. What is being written is not among them."""


def storage_of(media: Media) -> Storage:
    """As the settings say. Nothing is opened yet."""
    if media.storage is None:
        return LocalFolder(media.root)
    return ObjectStore.at(media.storage, media.storage_options)
