"""Orders to a queue: one envelope for every task, its arguments by name."""

import hashlib
import uuid
from typing import Annotated, Any, Literal

import msgspec

from schemas.envelope import Identity
from schemas.events import Instant

NAMESPACE = uuid.UUID("6e0d1fd4-5c8e-5d0e-9a3b-2f1f0f6f6a11")
NAMESPACE_BYTES = NAMESPACE.bytes


class Command(msgspec.Struct, kw_only=True, frozen=True):
    """Run ``task`` with ``args``, at most once for each (id, attempt).

    ``caused_at`` is the cause's time, not the order's: with ``id`` it is the ledger's key.
    """

    id: uuid.UUID
    task: str
    args: dict[str, Any]
    caused_at: Instant
    cause: Identity
    attempt: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    generation: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    version: Literal[1] = 1


def command_id(cause: Identity, task: str, generation: int = 0) -> uuid.UUID:
    """The id that a repeated cause gives again, so that the ledger knows the repeat."""
    name = "\x1f".join((cause.source, cause.type, cause.id, task, str(generation)))
    # As uuid.uuid5, which makes the namespace's bytes anew each time.
    digest = hashlib.sha1(NAMESPACE_BYTES + name.encode(), usedforsecurity=False).digest()
    return uuid.UUID(bytes=digest[:16], version=5)
