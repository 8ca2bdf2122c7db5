"""Status on real servers."""

from schemas.facts import parse_fact
from streams.publisher import AsyncPublisher
from streams.settings import Settings
from streams.status import read_status
from streams.topics import create_topics

ADA = '{"user_id": 1, "email": "ada@people.test", "username": "ada", "created_at": "2026-03-04T12:00:00Z"}'


async def test_topics_that_are_missing_are_a_problem_that_names_them(settings: Settings) -> None:
    found = await read_status(settings)

    assert found.broker.problem is not None
    assert "topics are missing (user.created, " in found.broker.problem
    assert found.database.problem is None
    assert found.mail.problem is None


async def test_what_nobody_has_read_yet_is_lag(settings: Settings) -> None:
    await create_topics(settings)
    prefix = settings.kafka.topic_prefix
    async with AsyncPublisher(settings.kafka.bootstrap_servers, topic_prefix=prefix) as publisher:
        await publisher.publish(parse_fact("user.created", ADA))

    found = await read_status(settings)

    assert found.ok, (found.broker.problem, found.database.problem, found.mail.problem)
    assert {"group": f"{prefix}tailrace", "topic": "user.created", "lag": 1} in found.broker.facts["lag"]
    assert {"group": f"{prefix}tailrace-trending", "topic": "post.tagged", "lag": 0} in found.broker.facts["lag"]
    assert found.broker.facts["dead_letters"] == {}
    assert found.database.facts["runs"] == []
