"""Files in a store of objects: S3 and what speaks like it, Google's and Azure's."""

import asyncio
import difflib
import os
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import from_url

from streams.media.errors import BadMedia, MissingMedia, StorageFailed
from streams.media.paths import check_size, checked_key, shown
from streams.media.stored import Content, Stored

OPTIONS = {
    "s3": (
        *("endpoint", "region", "access_key_id", "secret_access_key", "session_token", "virtual_hosted_style_request"),
        *("server_side_encryption", "sse_kms_key_id", "checksum_algorithm", "request_payer", "skip_signature"),
    ),
    "gs": ("service_account", "service_account_key", "application_credentials", "skip_signature"),
    "az": (
        *("account_name", "account_key", "sas_key", "tenant_id", "client_id", "client_secret", "endpoint"),
        "use_emulator",
    ),
}
"""What may be set of each kind; what is not set is looked up in the environment, as its own tools do."""

RETRIES, RETRY_FOR = 3, timedelta(seconds=20)
CONNECT, READ, WHOLE = timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=5)
"""Patience with a server: to answer at all, between two pieces, for one request."""

NO_BUCKET = "the storage cannot be used: there is no such bucket"
STATUS, CODE = re.compile(r"status code: (\d{3})"), re.compile(r"<Code>(\w{1,60})</Code>")
"""What a server has answered."""

METADATA = "169.254.169.254"
"""Where a machine of Amazon's says its login."""

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
"""Where the environment names a server that speaks like S3; the first of them counts."""

PIECE = 1024 * 1024
CONTENT_TYPES = {".webp": "image/webp", ".avif": "image/avif", ".mp4": "video/mp4"}


class ObjectStore:
    """A ``Storage`` in ``store``. Each put is atomic there: that is what these servers promise."""

    def __init__(self, store: Any) -> None:
        self._store = store

    @classmethod
    def at(cls, url: str, options: Mapping[str, str], environ: Mapping[str, str] | None = None) -> "ObjectStore":
        """The store at this URL. Raises ``ValueError``, without any option's value, for what cannot be one."""
        environ = os.environ if environ is None else environ
        known = OPTIONS[url.split(":", 1)[0]]
        for name in options:
            if name not in known:
                nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
                raise ValueError(f"{name!r} is no option of this storage; the nearest is {nearest}")
        client = {"connect_timeout": CONNECT, "read_timeout": READ, "timeout": WHOLE}
        endpoint = options.get("endpoint") or next((environ[name] for name in ENDPOINTS if environ.get(name)), "")
        plain = {"allow_http": True} if endpoint.startswith("http://") else {}
        try:
            return cls(
                from_url(
                    url,
                    config=dict(options),  # type: ignore[call-overload]
                    client_options={**client, **plain},
                    retry_config={"max_retries": RETRIES, "retry_timeout": RETRY_FOR},
                )
            )
        except (BaseError, ValueError, TypeError) as error:
            raise ValueError(f"the storage cannot be used: {_first_line(error)}") from None

    async def get(self, key: str, max_bytes: int) -> bytes:
        """As ``Storage.get``."""
        with _told(key):
            found = await obstore.get_async(self._store, checked_key(key))
            check_size(found.meta["size"], max_bytes)
            return bytes(await found.bytes_async())

    async def fetch(self, key: str, folder: Path, max_bytes: int) -> Path:
        """As ``Storage.fetch``."""
        path = folder / "source"
        with _told(key):
            found = await obstore.get_async(self._store, checked_key(key))
            check_size(found.meta["size"], max_bytes)
            with await asyncio.to_thread(path.open, "wb") as file:
                async for piece in found.stream(PIECE):
                    await asyncio.to_thread(file.write, piece)
        return path

    async def size(self, key: str) -> int:
        """The file's length. Raises ``MissingMedia``."""
        with _told(key):
            return (await obstore.head_async(self._store, checked_key(key)))["size"]

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` to before ``end``, in pieces."""
        with _told(key):
            part = await obstore.get_async(self._store, checked_key(key), options={"range": (start, end)})
            async for piece in part.stream(PIECE):
                yield bytes(piece)

    async def put(self, files: Mapping[str, Content]) -> None:
        """As ``Storage.put``."""
        for key, content in files.items():
            kind = CONTENT_TYPES.get(Path(key).suffix)
            attributes = {"Content-Type": kind} if kind else None
            try:
                with _told(key):
                    await obstore.put_async(self._store, checked_key(key), content, attributes=attributes)
            except MissingMedia as error:
                raise StorageFailed(NO_BUCKET) from error

    async def delete(self, keys: Iterable[str]) -> None:
        """As ``Storage.delete``."""
        for key in keys:
            with _told(key):
                try:
                    await obstore.delete_async(self._store, checked_key(key))
                except FileNotFoundError:
                    continue  # some stores say so, others do not

    async def exists(self, key: str) -> bool:
        """As ``Storage.exists``."""
        try:
            await self.size(key)
        except MissingMedia:
            return False
        return True

    async def list(self, prefix: str) -> AsyncIterator[Stored]:
        """As ``Storage.list``."""
        with _told(prefix):
            async for part in obstore.list(self._store, checked_key(prefix)):
                for found in part:
                    yield Stored(found["path"], found["size"], found["last_modified"])


@contextmanager
def _told(key: str) -> Iterator[None]:
    """What goes wrong, as every storage tells of it."""
    try:
        yield
    except FileNotFoundError:
        raise MissingMedia(f"{shown(key)} does not exist in the storage") from None
    except ValueError as error:
        raise BadMedia(f"{shown(key)} is no key of a file: {_first_line(error)}") from error
    except (BaseError, OSError) as error:
        raise StorageFailed(_problem(error)) from error


def _problem(error: Exception) -> str:
    """For some requests the source tells of a refusal by its type, for others in its text alone."""
    text = str(error)
    status, code = STATUS.search(text), CODE.search(text)
    said = f" ({code[1]})" if code else ""
    if METADATA in text:
        return f"the storage cannot be used: there is no login, and this machine gives none ({_first_line(error)})"
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or (status and status[1] in ("401", "403")):
        return f"the storage refuses the login, or what it asks for{said}: {_first_line(error)}"
    if status and status[1] == "404":
        return f"{NO_BUCKET}{said}"
    return f"the storage cannot be used{said}: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    """Without the source's own dump of what it knows."""
    return str(error).split("\n", 1)[0].split(": <?xml", 1)[0][:300].strip()
