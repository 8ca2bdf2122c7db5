"""While dead letters cannot be stored, what cannot be identified holds its offset, and all else goes on."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas.topics import dead_letter_topic
from streams.kafka_client import MAX_REQUEST_BYTES, client_options, full_name
from streams.setting_groups import Kafka
from streams.settings import Settings
from streams.topics import create_topics
from tests.events import records_of
from tests.storm import FACT, QUEUE, Storm
from tests.storm_fleet import Fleet
from tests.storm_pace import meanwhile, throughout
from tests.waiting import eventually

pytestmark = pytest.mark.faults

GOES_ON_WITHIN = 30
DRAINS_WITHIN = 60
BROKEN = b"\xffneither fact nor command"
DEAD_LETTERS = (dead_letter_topic(FACT), dead_letter_topic(QUEUE))


@pytest.fixture(autouse=True)
async def load(storm: Storm, fleet: Fleet) -> AsyncIterator[None]:
    """Commands that have nothing to do with it; in the end each of them is done once."""
    await storm.send([0.02] * 40)
    await storm.goes_on(GOES_ON_WITHIN)
    async with meanwhile(partial(give, storm), per_second=20):
        yield
    await storm.assert_each_done_once(fleet)


async def test_while_dead_letters_have_no_topic_offsets_hold_and_all_else_goes_on(
    storm: Storm, settings: Settings, full: bool
) -> None:
    async with deleted_topics(settings):
        await offsets_hold(storm, 60 if full else 3)

    await eventually(partial(has_letters, settings, {FACT: 1, QUEUE: 1}), DRAINS_WITHIN, "they are stored")


async def test_while_dead_letters_are_refused_offsets_hold_and_all_else_goes_on(
    storm: Storm, settings: Settings, full: bool
) -> None:
    counts = {topic: len(await records_of(settings, dead_letter_topic(topic))) for topic in (FACT, QUEUE)}
    # A refusal spoils the sequence of a producer that has stored something there before.
    await send_broken(storm)
    await eventually(partial(has_letters, settings, more(counts, 1)), DRAINS_WITHIN, "the first are stored")

    async with refusing_topics(settings.kafka):
        await offsets_hold(storm, 60 if full else 3)

    await eventually(partial(has_letters, settings, more(counts, 2)), DRAINS_WITHIN, "the next are stored")


async def test_a_dead_command_waits_for_its_topic_of_dead_letters_and_holds_nothing_back(
    storm: Storm, settings: Settings, full: bool
) -> None:
    async with deleted_topics(settings):
        await storm.send_dead()
        await eventually(storm.has_dead, what="it is dead")
        await storm.goes_on_with(20 * 60 if full else 40, within=60 + GOES_ON_WITHIN if full else GOES_ON_WITHIN)

    await eventually(partial(has_letters, settings, {QUEUE: 1}), DRAINS_WITHIN, "it is stored")


async def send_broken(storm: Storm) -> dict[tuple[str, int], int]:
    """One record on each of two topics that nobody can read, and their offsets."""
    return {(topic, 1): await storm.send_bytes(topic, BROKEN, 1) for topic in (FACT, QUEUE)}


async def offsets_hold(storm: Storm, seconds: float) -> None:
    """What is neither fact nor command stays unacknowledged for so long, and all else is done."""
    places = await send_broken(storm)
    await throughout(seconds, partial(holds, storm, places), "the offsets hold")
    await storm.goes_on_with(20, GOES_ON_WITHIN)
    assert await holds(storm, places)


async def give(storm: Storm, count: int) -> None:
    """Half of them as events of the backend, half as commands on the queue."""
    await storm.emit([0.02] * (count // 2))
    await storm.send([0.02] * (count - count // 2))


async def holds(storm: Storm, places: dict[tuple[str, int], int]) -> bool:
    """Whether the group has acknowledged nothing from these offsets on."""
    found = await storm.offsets.committed()
    return all(found[place] <= offset for place, offset in places.items())


async def has_letters(settings: Settings, wanted: dict[str, int]) -> bool:
    """Whether the topics of dead letters hold so many."""
    return all([len(await records_of(settings, dead_letter_topic(topic))) == count for topic, count in wanted.items()])


def more(counts: dict[str, int], added: int) -> dict[str, int]:
    return {topic: count + added for topic, count in counts.items()}


@asynccontextmanager
async def deleted_topics(settings: Settings) -> AsyncIterator[None]:
    """No topics of dead letters, as if somebody had deleted them by mistake; made again at the end."""
    names = [full_name(settings.kafka, topic) for topic in DEAD_LETTERS]
    await _administer(settings.kafka, lambda admin: admin.delete_topics(names))
    try:
        yield
    finally:
        await create_topics(settings)


@asynccontextmanager
async def refusing_topics(kafka: Kafka) -> AsyncIterator[None]:
    """Topics of dead letters that take no record, until the end."""
    await _limit(kafka, 1)
    try:
        yield
    finally:
        await _limit(kafka, MAX_REQUEST_BYTES)


async def _limit(kafka: Kafka, size: int) -> None:
    wanted = {"retention.ms": "-1", "max.message.bytes": str(size)}
    resources = [ConfigResource(ConfigResourceType.TOPIC, full_name(kafka, topic), wanted) for topic in DEAD_LETTERS]
    (answer,) = await _administer(kafka, lambda admin: admin.alter_configs(resources))
    assert not any(code for code, *_ in answer.resources), answer


async def _administer(kafka: Kafka, order: Callable[[AIOKafkaAdminClient], Awaitable[Any]]) -> Any:
    admin = AIOKafkaAdminClient(**client_options(kafka))
    await admin.start()
    try:
        return await order(admin)
    finally:
        await admin.close()
