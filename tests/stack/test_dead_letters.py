"""Dead letters on real Kafka and PostgreSQL: listed, shown, sent again once, thrown away."""

from collections.abc import Mapping

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from streams import dead_letter_topics
from streams.dead_letter import Place
from streams.dead_letter_filter import Filter, Seen
from streams.dead_letter_topics import open_dead_letters
from streams.dead_letter_views import Newest
from streams.settings import Settings
from streams.topics import create_topics
from tests.letters import bury, command, died, dlq, letters_in, marks
from tests.processes import run

Environment = Mapping[str, str]


@pytest.fixture(autouse=True)
async def topics(settings: Settings) -> None:
    await create_topics(settings)


async def test_a_purge_deletes_from_the_start_up_to_the_first_letter_that_waits(
    settings: Settings, environment: Environment, engine: AsyncEngine
) -> None:
    await bury(settings, *(died("post.tagged", b"%d" % number, offset=number) for number in range(4)))

    rehearsed = await dlq(environment, "purge", "post.tagged.dlq:0:1", "--dry-run")
    later = await dlq(environment, "purge", "post.tagged.dlq:0:1")
    first = await dlq(environment, "purge", "post.tagged:0:0", "post.tagged:0:1")
    left = await letters_in(settings, engine, "post.tagged.dlq")
    rest = await dlq(environment, "purge", "--topic", "post.tagged", "--limit", "1")

    assert rehearsed == {"dry_run": True, "purged": 1, "deleted": 0}
    assert later == {"dry_run": False, "purged": 1, "deleted": 0}
    assert first == {"dry_run": False, "purged": 1, "deleted": 2}
    assert [letter.place for letter in left] == [Place("post.tagged.dlq", 0, 2), Place("post.tagged.dlq", 0, 3)]
    assert rest == {"dry_run": False, "purged": 1, "deleted": 1}
    assert [letter.record.value for letter in await letters_in(settings, engine, "post.tagged.dlq")] == [b"3"]


async def test_marks_go_a_day_after_their_letters(
    settings: Settings, environment: Environment, engine: AsyncEngine
) -> None:
    await bury(settings, *(died("post.tagged", b"%d" % number) for number in range(3)))
    await dlq(environment, "purge", "post.tagged:0:0", "post.tagged:0:2")
    kept = await marks(engine)

    async with engine.begin() as connection:
        await connection.execute(text("UPDATE tailrace.dead_letter_marks SET marked_at = now() - interval '2 days'"))
    await dlq(environment, "purge", "--reason", "nothing like this")

    assert kept == {0: "purged", 2: "purged"}
    assert await marks(engine) == {2: "purged"}


async def test_marked_letters_are_listed_when_asked_for(
    settings: Settings, environment: Environment, engine: AsyncEngine
) -> None:
    await bury(settings, died("post.tagged", b"0"), died("post.tagged", b"1"))
    await dlq(environment, "purge", "post.tagged:0:1")

    listed = await dlq(environment, "list", "--topic", "post.tagged", "--marked")
    waiting = await dlq(environment, "list", "--topic", "post.tagged")

    assert listed["counts"] == [{"topic": "post.tagged.dlq", "waiting": 1, "marked": 1}]
    assert [(found["place"], found["mark"]) for found in listed["letters"]] == [
        ("post.tagged.dlq:0:1", "purged"),
        ("post.tagged.dlq:0:0", None),
    ]
    assert [found["place"] for found in waiting["letters"]] == ["post.tagged.dlq:0:0"]


async def test_a_letter_is_shown_with_headers_bytes_and_stack(settings: Settings, environment: Environment) -> None:
    try:
        raise ConnectionError("the server \x1b[31m hung up")
    except ConnectionError as error:
        await bury(settings, died("user.created", b'{"user_id": 1}', [("odd", b"\xfe")]), reason="why", error=error)

    shown = await dlq(environment, "show", "user.created:0:0")
    _, printed, _ = await run("dlq", "show", "user.created.dlq:0:0", environment=environment)

    assert (shown["error"], shown["reason"], shown["value"]) == ("ConnectionError", "why", '{"user_id": 1}')
    assert ["odd", {"base64": "/g=="}] in shown["headers"]
    assert "test_dead_letters.py" in shown["stack"]
    assert '"user_id": 1' in printed
    assert r"ConnectionError: the server \x1b[31m hung up" in printed
    assert "\x1b" not in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "queue.emial:0:0"), "there is no topic 'queue.emial.dlq'; the nearest is queue.emails.dlq"),
        (("show", "queue.emails"), "write TOPIC:PARTITION:OFFSET"),
        (("show", "queue.emails:3:0"), "queue.emails.dlq has no partition 3; it has 0"),
        (("show", "queue.emails:0:9"), "partition 0 of queue.emails.dlq has no letters"),
        (("list", "--queue", "email"), "there is no queue 'email'; the nearest is emails"),
        (("redrive",), "say which letters"),
        (("purge", "queue.emails:0:0", "--all"), "say which letters"),
    ],
)
async def test_a_wrong_place_or_topic_is_answered_with_the_right_one(
    environment: Environment, arguments: tuple[str, ...], message: str
) -> None:
    code, _, errors = await run("dlq", *arguments, environment=environment)

    assert code == 1
    assert message in errors


async def test_a_filter_that_matches_nothing_names_the_nearest_task(
    settings: Settings, environment: Environment
) -> None:
    await bury(settings, died("queue.emails", msgspec.json.encode(command(1))))

    _, listed, _ = await run("dlq", "list", "--task", "greet_usr", environment=environment)

    assert "queue.emails.dlq 1" in listed
    assert "no letter here has the task 'greet_usr'; the nearest is greet_user" in listed


async def test_the_newest_letters_that_wait_are_found_without_reading_all(
    settings: Settings, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bury(settings, *(died("queue.media", b"%d" % number) for number in range(20)))
    monkeypatch.setattr(dead_letter_topics, "FIRST_WINDOW", 3)
    async with engine.begin() as connection:
        purged = "INSERT INTO tailrace.dead_letter_marks SELECT 'queue.media.dlq', 0, n, 'purged' FROM "
        await connection.execute(text(purged + "generate_series(13, 18) n"))
    newest, read = Newest(3), 0

    async with open_dead_letters(settings.kafka, engine, ["queue.media.dlq"]) as opened:
        async for batch in opened.newest(Filter(), Seen(set(), set()), 3, with_marked=False):
            newest.add(batch)
            read += len(batch)
        (count,) = await opened.counts()

    assert [found.place.rpartition(":")[2] for found in newest.sorted()] == ["19", "12", "11"]
    assert read == 3
    assert (count.waiting, count.marked) == (14, 6)


async def test_letters_that_come_later_are_not_seen(settings: Settings, engine: AsyncEngine) -> None:
    await bury(settings, died("queue.media", b"0"))

    async with open_dead_letters(settings.kafka, engine, ["queue.media.dlq"]) as opened:
        await bury(settings, died("queue.media", b"1"))
        found = [batch async for batch in opened.matching(Filter(), Seen(set(), set()))]

    assert [letter.record.value for batch in found for letter, _ in batch] == [b"0"]


async def test_marks_of_an_earlier_topic_of_the_same_name_hide_nothing(settings: Settings, engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO tailrace.dead_letter_marks VALUES ('queue.media.dlq', 0, 0, 'purged'), "
                 "('queue.media.dlq', 0, 50, 'purged')")
        )  # fmt: skip
    await bury(settings, died("queue.media", b"0"))

    (letter,) = await letters_in(settings, engine, "queue.media.dlq")

    assert letter.record.value == b"0"
    assert await marks(engine) == {}
