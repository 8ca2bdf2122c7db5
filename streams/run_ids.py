"""How a run is named on the command line: by its id and, so that it is found at once, its cause's time."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from schemas.envelope import rfc3339
from streams.instants import parse_instant

EXAMPLE = "5f0c7e0e-8c3e-5d55-9f0e-0f3c6d5a7b11@2026-03-04T12:00:00Z"


class WrongRunId(Exception):
    """This names no run; the message shows how one is named."""


@dataclass(frozen=True)
class RunId:
    """The ledger's key: ``<id>@<caused_at>``."""

    id: uuid.UUID
    caused_at: datetime

    def __str__(self) -> str:
        return f"{self.id}@{rfc3339(self.caused_at)}"


def parse_run_id(text: str) -> RunId | uuid.UUID:
    """``<id>@<caused_at>``, or an id alone, which costs a search. Raises ``WrongRunId``."""
    bare, _, caused_at = text.strip().partition("@")
    try:
        found = uuid.UUID(bare)
        return RunId(found, parse_instant(caused_at)) if caused_at else found
    except ValueError as error:
        raise WrongRunId(
            f"{text!r} names no run; copy it from `tailrace runs list`, e.g. {EXAMPLE}, or give the id alone"
        ) from error
