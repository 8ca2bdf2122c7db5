"""Which dead letters are meant: by topic, task, error, reason and time, or one by one by their places."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas.topics import DEAD_LETTER_SUFFIX, QUEUE_BY_NAME, TOPICS, dead_letter_topic
from streams.dead_letter import Letter, Place

DEAD_LETTER_TOPICS = tuple(topic.name for topic in TOPICS if topic.name.endswith(DEAD_LETTER_SUFFIX))


class WrongLetter(Exception):
    """No such topic, place or letter; the message names the right ones."""


@dataclass(frozen=True)
class Filter:
    """All of these must hold; what is None or empty always does."""

    topics: tuple[str, ...] = ()
    task: str | None = None
    error: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return self != Filter()

    @property
    def scope(self) -> tuple[str, ...]:
        """The topics of dead letters to look into."""
        return self.topics or DEAD_LETTER_TOPICS

    def matches(self, letter: Letter) -> bool:
        """Whether this letter is meant. An error may be named with its module or without."""
        return (
            (self.task is None or letter.task == self.task)
            and (self.error is None or self.error in _names(letter.error))
            and (self.reason is None or self.reason.casefold() in letter.reason.casefold())
            and (self.since is None or letter.died_at >= self.since)
            and (self.until is None or letter.died_at < self.until)
        )


@dataclass
class Seen:
    """Tasks and errors of the letters that were looked at, to say what a filter could have meant."""

    tasks: set[str]
    errors: set[str]

    def note(self, letter: Letter) -> None:
        self.tasks.update([letter.task] if letter.task else ())
        self.errors.update(_names(letter.error)[-1:])

    def advice(self, wanted: Filter) -> str:
        """Why nothing may have matched."""
        parts = [
            f"no letter here has the {what} {name!r}{_nearest(name, known)}"
            for what, name, known in (("task", wanted.task, self.tasks), ("error", wanted.error, self.errors))
            if name and known and not any(name in _names(other) for other in known)
        ]
        return "; ".join(parts)


def _names(error: str | None) -> list[str]:
    """``a.b.Error`` is called so, and ``Error``."""
    return [error, error.rpartition(".")[2]] if error else []


def topic_named(name: str) -> str:
    """The topic of dead letters of a topic, or one itself. Raises ``WrongLetter`` with the nearest."""
    topic = name if name.endswith(DEAD_LETTER_SUFFIX) else dead_letter_topic(name)
    if topic not in DEAD_LETTER_TOPICS:
        raise WrongLetter(f"there is no topic {topic!r}{_nearest(topic, DEAD_LETTER_TOPICS)}")
    return topic


def queue_named(name: str) -> str:
    """The topic of dead letters of a queue. Raises ``WrongLetter`` with the nearest."""
    if name not in QUEUE_BY_NAME:
        raise WrongLetter(f"there is no queue {name!r}{_nearest(name, QUEUE_BY_NAME)}")
    return dead_letter_topic(QUEUE_BY_NAME[name].topic)


def place_named(text: str) -> Place:
    """``queue.emails.dlq:0:17`` (or without ``.dlq``). Raises ``WrongLetter`` that says what is expected."""
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts[1:]):
        raise WrongLetter(f"{text!r} is not a place; write TOPIC:PARTITION:OFFSET, e.g. queue.emails.dlq:0:17")
    return Place(topic_named(parts[0]), int(parts[1]), int(parts[2]))


def places_named(texts: Sequence[str]) -> list[Place]:
    """Each place once, in order."""
    return sorted({place_named(text) for text in texts})


def _nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; the nearest is {near[0]}" if near else f"; there are {', '.join(names)}"
