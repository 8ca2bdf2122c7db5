"""The schemas of the events as JSON Schema, for publishers in other languages and for the record of a release."""

import json
from pathlib import Path
from typing import Any

import msgspec

from schemas.events import ANNOUNCEMENTS, FACTS


def event_schemas() -> dict[str, dict[str, Any]]:
    """Event type -> JSON Schema (draft 2020-12) of its data, complete in itself."""
    return {event_type: msgspec.json.schema(schema) for event_type, schema in (FACTS | ANNOUNCEMENTS).items()}


def as_yaml(document: Any) -> str:
    """The document as YAML, in the order in which it was made."""
    return msgspec.yaml.encode(document).decode()


def write_schemas(folder: Path) -> None:
    """One JSON Schema a file, named for its event type."""
    folder.mkdir(parents=True, exist_ok=True)
    for event_type, schema in event_schemas().items():
        (folder / f"{event_type}.json").write_text(json.dumps(schema, indent=2) + "\n")
