"""Say events to Tailrace: in your database transaction with ``emit``, or on Kafka with a publisher.

``Publisher`` needs the extra ``confluent``, ``AsyncPublisher`` the extra ``aiokafka``; ``emit`` neither.
"""

from typing import TYPE_CHECKING

from schemas.events import (
    FACTS,
    AssetReady,
    Fact,
    Id,
    PostDeleted,
    PostTagged,
    PostUploaded,
    UserCreated,
    UserDeleted,
    Visibility,
)
from schemas.facts import InvalidEvent, NotDelivered, parse_fact
from tailrace_client.emitting import emit

if TYPE_CHECKING:
    from streams.publisher import AsyncPublisher
    from tailrace_client.publisher import Delivery, Publisher

__all__ = [
    "FACTS",
    "AssetReady",
    "AsyncPublisher",
    "Delivery",
    "Fact",
    "Id",
    "InvalidEvent",
    "NotDelivered",
    "PostDeleted",
    "PostTagged",
    "PostUploaded",
    "Publisher",
    "UserCreated",
    "UserDeleted",
    "Visibility",
    "emit",
    "parse_fact",
]


def __getattr__(name: str) -> object:
    """The publishers, each when it is asked for: nobody needs the Kafka client of the other."""
    try:
        if name in ("Delivery", "Publisher"):
            from tailrace_client import publisher

            return getattr(publisher, name)
        if name == "AsyncPublisher":
            from streams.publisher import AsyncPublisher

            return AsyncPublisher
    except ImportError as error:
        extra = "aiokafka" if name == "AsyncPublisher" else "confluent"
        raise ImportError(f"{name} needs a Kafka client: pip install 'tailrace-client[{extra}]'") from error
    raise AttributeError(f"module 'tailrace_client' has no attribute {name!r}")
