"""Where the dead letter of a run lies."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.topics import QUEUE_BY_NAME, dead_letter_topic
from streams.dead_letter import Place
from streams.dead_letter_filter import Filter, Seen
from streams.dead_letter_topics import open_dead_letters
from streams.runs_listing import Facts
from streams.setting_groups import Kafka

PATIENCE = 5
"""Seconds to look for it, newest letters first."""

EVERY_LETTER = 2**31


async def find_letter(kafka: Kafka, engine: AsyncEngine, run: Facts) -> Place | None:
    """The newest letter of this dead run, or None where it is not in its topic yet or was thrown away.

    Raises ``TimeoutError`` where there are too many to look through, and what the broker's client raises.
    """
    topic = dead_letter_topic(QUEUE_BY_NAME[run["queue"]].topic)
    wanted = Filter(topics=(topic,), task=run["task"])
    found: Place | None = None
    async with asyncio.timeout(PATIENCE), open_dead_letters(kafka, engine, (topic,)) as letters:
        async for batch in letters.newest(wanted, Seen(set(), set()), EVERY_LETTER, with_marked=True):
            places = [letter.place for letter, _ in batch if letter.run == run["id"]]
            found = max([*places, found] if found else places, default=None)
            if found:
                break
    return found
