"""The schemas of the events as JSON Schema, for publishers in other languages and for the record of a release."""

from typing import Any

import msgspec

from schemas.events import ANNOUNCEMENTS, FACTS


def event_schemas() -> dict[str, dict[str, Any]]:
    """Event type -> JSON Schema (draft 2020-12) of its data, complete in itself."""
    return {event_type: msgspec.json.schema(schema) for event_type, schema in (FACTS | ANNOUNCEMENTS).items()}
