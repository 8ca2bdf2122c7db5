"""``tailrace-client``: built, installed alone, typed; its publishers and ``emit()`` on real servers."""

import re
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiokafka.errors import KafkaError as AiokafkaError
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.events import Fact
from schemas.facts import event_type_of
from streams.kafka_client import client_options
from streams.publisher import AsyncPublisher
from streams.settings import Settings
from streams.topics import create_topics
from tailrace_client import InvalidEvent, NotDelivered, Publisher, emit
from tests.clients import PROJECT, build, call, uv
from tests.events import post_uploaded, records_of, user_created

PROGRAM = """
import sys
import tailrace_client
from tailrace_client import AsyncPublisher, Delivery, Fact, Publisher, UserCreated, emit, parse_fact

fact: Fact = parse_fact("user.created", sys.argv[1])
assert isinstance(fact, UserCreated)


def say(publisher: Publisher) -> list[Delivery]:
    return publisher.publish(fact)


async def say_later(publisher: AsyncPublisher) -> None:
    await publisher.publish(fact)


for name in ("schemas", "streams", "agents"):
    assert name not in sys.modules
print(fact.natural_id, tailrace_client.__file__)
"""
USER = '{"user_id": 7, "email": "ada@example.org", "username": "ada", "created_at": "2026-03-04T12:00:00Z"}'


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build(PROJECT, folder, "sdist", "wheel")
    return folder


@pytest.fixture(scope="module")
def alone(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The python of an environment with the wheel, its extras and nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    python = folder / "venv" / "bin" / "python"
    call([uv(), "venv", "--quiet", "--python", sys.executable, str(folder / "venv")], folder)
    wheel = next(distributions.glob("*.whl"))
    lock = PROJECT.parents[1] / "requirements.lock"
    what = ["--constraint", str(lock), f"tailrace-client[confluent,aiokafka] @ {wheel.as_uri()}"]
    call([uv(), "pip", "install", "--quiet", "--python", str(python), *what], folder)
    return python


def test_it_installs_alone_and_knows_nothing_of_the_application(alone: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)

    printed = call([str(alone), "program.py", USER], tmp_path).split()

    assert printed[0] == "user.created:7"
    assert "site-packages" in printed[1]


def test_its_types_are_there_for_a_strict_checker(alone: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    wrong = (
        'from tailrace_client import UserCreated\nUserCreated(user_id=1.5, email="a", username="a", created_at=None)\n'
    )
    (tmp_path / "wrong.py").write_text(wrong)
    check = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(alone), "--cache-dir", "cache"]

    call([*check, "program.py"], tmp_path)

    with pytest.raises(AssertionError, match=r'wrong\.py:2: error: Argument "user_id"'):
        call([*check, "wrong.py"], tmp_path)


def test_the_wheel_of_the_source_distribution_is_that_of_the_checkout(distributions: Path, tmp_path: Path) -> None:
    call(["tar", "xzf", str(next(distributions.glob("*.tar.gz")))], tmp_path)

    build(next(tmp_path.iterdir()), tmp_path / "again", "wheel")

    made = next((tmp_path / "again").glob("*.whl"))
    assert made.read_bytes() == next(distributions.glob("*.whl")).read_bytes()


@pytest.fixture
def publisher(settings: Settings) -> Iterator[Publisher]:
    with Publisher(settings.kafka.bootstrap_servers, topic_prefix=settings.kafka.topic_prefix, timeout=20) as opened:
        yield opened


async def test_both_publishers_write_the_same_record(settings: Settings, publisher: Publisher) -> None:
    facts = [user_created(number) for number in range(20)]
    await create_topics(settings)

    told = publisher.publish(*facts)
    async with AsyncPublisher(
        **client_options(settings.kafka), topic_prefix=settings.kafka.topic_prefix
    ) as asynchronous:
        await asynchronous.publish(*facts)

    records = await records_of(settings, "user.created")
    assert len(records) == 40
    by_place = {(record.topic, record.partition, record.offset): record for record in records}
    for fact, place in zip(facts, told, strict=True):
        mine = by_place[place[0], place[1], place[2]]
        (other,) = [r for r in records if r.key == mine.key and r is not mine]
        assert dict(mine.headers)["ce_id"] == fact.natural_id.encode()
        assert (mine.partition, mine.value, mine.headers, mine.timestamp) == (
            other.partition,
            other.value,
            other.headers,
            other.timestamp,
        )


async def test_a_fact_that_is_sent_without_waiting_is_there_when_the_publisher_is_closed(settings: Settings) -> None:
    await create_topics(settings)
    kafka = settings.kafka

    with Publisher(kafka.bootstrap_servers, topic_prefix=kafka.topic_prefix, max_buffered=10) as publisher:
        sent = [publisher.send(user_created(1, first_name=str(number))) for number in range(200)]

    assert [future.result(0).offset for future in sent] == list(range(200))
    assert len(await records_of(settings, "user.created")) == 200


def test_what_the_broker_does_not_have_is_reported_with_the_facts_to_publish_again() -> None:
    facts = [user_created(1), user_created(2)]

    with Publisher("127.0.0.1:9", timeout=0.5) as publisher, pytest.raises(NotDelivered, match="2 of the") as caught:
        publisher.publish(*facts)

    assert caught.value.facts == facts


async def test_after_a_record_that_the_broker_refuses_an_asynchronous_publisher_goes_on(settings: Settings) -> None:
    await create_topics(settings)
    options, prefix = client_options(settings.kafka), settings.kafka.topic_prefix
    large = user_created(1, first_name="x" * 1_100_000)

    async with AsyncPublisher(**options, topic_prefix=prefix, max_request_size=4_000_000) as publisher:
        with pytest.raises(NotDelivered) as caught:
            await publisher.publish(large)
        await publisher.publish(user_created(2))

    assert isinstance(caught.value.failures[0][1], AiokafkaError)
    assert [record.key for record in await records_of(settings, "user.created")] == [b"2"]


@pytest.mark.parametrize(
    "changes",
    [
        {"created_at": datetime.now(UTC).replace(tzinfo=None)},
        {"created_at": "2026-03-04"},
        {"email": None},
        {"username": ["ada"]},
    ],
)
def test_what_is_no_event_of_its_type_is_refused_before_anything_is_sent(changes: dict[str, Any]) -> None:
    with Publisher("127.0.0.1:9") as publisher, pytest.raises(InvalidEvent, match=rf"\$\.{next(iter(changes))}"):
        publisher.publish(user_created(1), user_created(2, **changes))


async def test_an_event_is_emitted_in_the_transaction_of_the_connection(
    database_url: str, settings: Settings, engine: AsyncEngine
) -> None:
    facts: list[Fact] = [user_created(7), post_uploaded(11, 7, "sea", image="posts/11.jpg")]
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    with psycopg.connect(database_url) as connection:
        emit(connection, user_created(1))
        connection.rollback()
        numbers = [emit(connection, fact, headers={"traceparent": "00-a-b-01"}, due_at=tomorrow) for fact in facts]
        connection.commit()
        found = connection.execute("SELECT id, topic, headers, due_at FROM tailrace.outbox ORDER BY id").fetchall()

    assert [(number, topic, due) for number, topic, _, due in found] == [
        (number, event_type_of(fact), tomorrow) for number, fact in zip(numbers, facts, strict=True)
    ]
    assert [dict(headers)["ce_id"] for _, _, headers, _ in found] == [fact.natural_id for fact in facts]
    assert all(dict(headers)["traceparent"] == "00-a-b-01" for _, _, headers, _ in found)


def test_the_client_has_the_version_of_the_application() -> None:
    projects = [tomllib.loads((root / "pyproject.toml").read_text()) for root in (PROJECT, PROJECT.parents[1])]

    assert projects[0]["project"]["version"] == projects[1]["project"]["version"]


async def test_the_program_of_the_guide_publishes(settings: Settings) -> None:
    guide = (PROJECT.parents[1] / "docs" / "publishing.md").read_text()
    program = re.search(r"```python\n([^`]*# A program as a whole\.\n[^`]*)```", guide)
    assert program
    await create_topics(settings)
    place = f'"{settings.kafka.bootstrap_servers}", topic_prefix="{settings.kafka.topic_prefix}"'

    exec(program[1].replace('"127.0.0.1:9092"', place), {})

    assert [record.key for record in await records_of(settings, "post.tagged")] == [b"7", b"7"]
