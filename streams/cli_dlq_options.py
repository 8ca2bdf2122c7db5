"""What the commands of ``tailrace dlq`` share: the options that say which letters are meant, and its errors."""

import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from streams.durations import parse_duration
from streams.settings import Settings, SettingsError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from streams.dead_letter import Place
    from streams.dead_letter_filter import Filter, Seen
    from streams.dead_letter_topics import DeadLetterTopics, Marked


class MomentType(click.ParamType):
    """An instant such as 2026-03-04T12:00Z, or how long ago such as 2h."""

    name = "moment"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            return self._ago(value, param, ctx)
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    def _ago(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return datetime.now(UTC) - parse_duration(value)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no moment; write e.g. 2026-03-04T12:00Z, or how long ago: 30m, 2h, 7d", param, ctx)


FILTERS = (
    click.option("--topic", "topics", multiple=True, help="Letters of this topic, e.g. user.created. Repeatable."),
    click.option("--queue", "queues", multiple=True, help="Letters of this queue, e.g. emails. Repeatable."),
    click.option("--task", help="Letters of this task."),
    click.option("--error", help="Letters of this class of exception, e.g. TimeoutError."),
    click.option("--reason", help="Letters with this text in their reason."),
    click.option("--since", type=MomentType(), help="Died at this moment or later: 2h ago, or 2026-03-04T12:00Z."),
    click.option("--until", type=MomentType(), help="Died before this moment."),
)
SELECTION = (
    click.argument("places", metavar="[TOPIC:PARTITION:OFFSET]...", nargs=-1),
    *FILTERS,
    click.option("--all", "everything", is_flag=True, help="Every letter of every topic."),
    click.option("--limit", type=click.IntRange(1), help="At most so many letters, the oldest of a topic first."),
    click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing."),
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object for programs.")

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def with_options(options: Sequence[Decorator]) -> Decorator:
    """These options, in this order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def filter_of(*, topics: Sequence[str], queues: Sequence[str], **conditions: Any) -> "Filter":
    """The filter that the options make. Raises ``WrongLetter``."""
    from streams.dead_letter_filter import Filter, queue_named, topic_named

    named = [*map(topic_named, topics), *map(queue_named, queues)]
    return Filter(tuple(dict.fromkeys(named)), **conditions)


@dataclass(frozen=True)
class Selection:
    """The letters that a command acts on: those at ``places``, or all that match and have no mark."""

    wanted: "Filter"
    places: "Sequence[Place]"
    limit: int | None
    seen: "Seen"

    async def batches(self, topics: "DeadLetterTopics") -> "AsyncIterator[list[Marked]]":
        """At most ``limit`` letters, a batch at a time."""
        found = topics.at(self.places) if self.places else topics.matching(self.wanted, self.seen)
        left = self.limit
        async for batch in found:
            chosen = [pair for pair in batch if self.places or pair[1] is None][:left]
            yield chosen
            left = None if left is None else left - len(chosen)
            if left == 0:
                return


def selection_of(places: Sequence[str], everything: bool, limit: int | None, **options: Any) -> Selection:
    """What the options select. Raises ``WrongLetter`` where they do not say which letters are meant."""
    from streams.dead_letter_filter import Filter, Seen, WrongLetter, places_named

    wanted = filter_of(**options)
    if (bool(places), everything, bool(wanted)).count(True) != 1:
        raise WrongLetter(
            "say which letters: either places as `tailrace dlq list` shows them, or filters (--topic, --queue, "
            "--task, --error, --reason, --since, --until), or --all"
        )
    named = places_named(places)
    if named:
        wanted = Filter(tuple(dict.fromkeys(place.topic for place in named)))
    return Selection(wanted, named, limit, Seen(set(), set()))


@asynccontextmanager
async def opened(settings: Settings, wanted: "Filter") -> "AsyncIterator[tuple[DeadLetterTopics, AsyncEngine]]":
    """The topics that the filter looks into, as they are now, and a pool on the database."""
    from streams.db import engine_for
    from streams.dead_letter_topics import open_dead_letters

    engine = engine_for(settings.database)
    try:
        async with open_dead_letters(settings.kafka, engine, wanted.scope) as topics:
            yield topics, engine
    finally:
        await engine.dispose()


@contextmanager
def reporting(command: str) -> Iterator[Settings]:
    """The settings; what goes wrong ends the program with exit code 1 and a message that says what to do."""
    from aiokafka.errors import KafkaError

    from streams.database_errors import DATABASE_ERRORS, explain
    from streams.dead_letter_filter import WrongLetter
    from streams.log import configure_logging

    try:
        settings = Settings.load()
    except SettingsError as error:
        sys.exit(f"tailrace dlq {command}: {error}")
    configure_logging(settings.log)
    # What a client would log of a server that is away is said once and in full.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        yield settings
    except WrongLetter as error:
        sys.exit(f"tailrace dlq {command}: {error}")
    except KafkaError as error:
        servers = settings.kafka.bootstrap_servers
        advice = "check that it runs, and the settings TAILRACE_KAFKA__..."
        sys.exit(f"tailrace dlq {command}: Kafka at {servers} cannot be used ({error!r}); {advice}")
    except BrokenPipeError:  # whoever read our output has gone; click ends the program quietly
        raise
    except DATABASE_ERRORS as error:
        sys.exit(f"tailrace dlq {command}: {explain(error, settings.database)}")
