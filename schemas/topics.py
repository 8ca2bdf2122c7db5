"""The one table of topics and queues. Names here are without the prefix that a deployment may set."""

from dataclasses import dataclass
from datetime import timedelta

from schemas.events import ANNOUNCEMENTS, FACTS

FOREVER = None


@dataclass(frozen=True)
class Queue:
    """A queue of commands; under contention a worker admits from the queues by ``priority``."""

    name: str
    priority: int

    @property
    def topic(self) -> str:
        return f"queue.{self.name}"


@dataclass(frozen=True)
class Topic:
    """A topic as it is created. ``retention`` None keeps records for ever."""

    name: str
    key: str
    partitions: int
    retention: timedelta | None


QUEUES = (
    Queue("media", 9),
    Queue("emails", 8),
    Queue("users", 7),
    Queue("analytics", 5),
    Queue("maintenance", 3),
    Queue("default", 1),
)
QUEUE_BY_NAME = {queue.name: queue for queue in QUEUES}
QUEUE_BY_TOPIC = {queue.topic: queue for queue in QUEUES}

TRENDING_TOPICS = ("post.uploaded", "post.tagged")
"""The topics whose hashtags are counted."""

FACT_KEYS = {
    "user.created": "user_id",
    "post.uploaded": "author_id",
    "post.tagged": "author_id",
    "user.deleted": "user_id",
    "post.deleted": "author_id",
}
FACT_RETENTION = timedelta(days=14)


DEAD_LETTER_SUFFIX = ".dlq"


def dead_letter_topic(topic: str) -> str:
    """Where records of this topic go that cannot be processed."""
    return topic + DEAD_LETTER_SUFFIX


def _facts() -> list[Topic]:
    return [Topic(name, FACT_KEYS[name], 4, FACT_RETENTION) for name in FACTS]


def _announcements() -> list[Topic]:
    """Without dead letters: nobody here reads them."""
    return [Topic(name, "post_id", 4, FACT_RETENTION) for name in ANNOUNCEMENTS]


def _queues() -> list[Topic]:
    return [Topic(queue.topic, "the event's key", 4, FOREVER) for queue in QUEUES]


def _dead_letters(topics: list[Topic]) -> list[Topic]:
    return [Topic(dead_letter_topic(topic.name), topic.key, 1, FOREVER) for topic in topics]


IMPORTED_SUFFIX = ".imported"


def _imported() -> list[Topic]:
    """Where ``tailrace import`` puts events of an archive; only replays read them."""
    return [Topic(name + IMPORTED_SUFFIX, FACT_KEYS[name], 1, FOREVER) for name in FACTS]


SOURCES = {name: name for name in FACTS} | {name + IMPORTED_SUFFIX: name for name in FACTS}
"""Topic that events can be replayed from -> the events' type."""

TOPICS: tuple[Topic, ...] = tuple(
    _facts() + _queues() + _dead_letters(_facts() + _queues()) + _imported() + _announcements()
)
TOPIC_BY_NAME = {topic.name: topic for topic in TOPICS}
