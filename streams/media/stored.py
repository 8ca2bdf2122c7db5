"""What a storage takes and tells of."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

Content = bytes | Path


@dataclass(frozen=True)
class Stored:
    """A file in the storage."""

    key: str
    bytes: int
    modified_at: datetime
