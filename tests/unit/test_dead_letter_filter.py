"""Which letters a filter means, and what is said of a wrong name."""

from datetime import UTC, datetime, timedelta

import pytest

from streams.dead_letter import Letter, Place
from streams.dead_letter_filter import (
    DEAD_LETTER_TOPICS,
    Filter,
    Seen,
    WrongLetter,
    place_named,
    places_named,
    queue_named,
    topic_named,
)
from streams.records import Record

DIED = datetime(2026, 3, 4, 12, tzinfo=UTC)
HEADERS: list[tuple[str, bytes | None]] = [
    ("tailrace-task", b"send_mail"),
    ("tailrace-error", b"aiosmtplib.errors.SMTPConnectError"),
    ("tailrace-reason", b"Connection lost to mx1"),
    ("tailrace-at", b"2026-03-04T12:00:00Z"),
]
LETTER = Letter(Place("queue.emails.dlq", 0, 1), Record("queue.emails", 0, 1, None, b"{}", HEADERS, 0))


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (Filter(), True),
        (Filter(task="send_mail"), True),
        (Filter(task="send"), False),
        (Filter(error="SMTPConnectError"), True),
        (Filter(error="aiosmtplib.errors.SMTPConnectError"), True),
        (Filter(error="ConnectError"), False),
        (Filter(reason="connection LOST"), True),
        (Filter(reason="timeout"), False),
        (Filter(since=DIED, until=DIED + timedelta(seconds=1)), True),
        (Filter(until=DIED), False),
        (Filter(since=DIED + timedelta(seconds=1)), False),
        (Filter(task="send_mail", reason="timeout"), False),
    ],
)
def test_all_that_is_asked_for_must_hold(wanted: Filter, matches: bool) -> None:
    assert wanted.matches(LETTER) is matches


def test_a_filter_that_asks_for_nothing_is_none() -> None:
    assert not Filter()
    assert Filter(topics=("queue.emails.dlq",))
    assert Filter().scope == DEAD_LETTER_TOPICS


def test_a_topic_is_named_with_or_without_its_suffix() -> None:
    assert topic_named("user.created") == topic_named("user.created.dlq") == "user.created.dlq"
    assert queue_named("emails") == "queue.emails.dlq"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("queue.emails.dlq", "TOPIC:PARTITION:OFFSET"),
        ("queue.emails:0:-1", "TOPIC:PARTITION:OFFSET"),
        ("queue.emails:0:²", "TOPIC:PARTITION:OFFSET"),
        ("quue.emails:0:1", "the nearest is queue.emails.dlq"),
        ("~~:0:1", "there are .*post.tagged.dlq, "),
    ],
)
def test_a_wrong_place_is_answered_with_what_is_right(text: str, message: str) -> None:
    with pytest.raises(WrongLetter, match=message):
        place_named(text)


def test_a_place_that_is_named_twice_is_one() -> None:
    found = places_named(["queue.emails:0:10", "queue.emails.dlq:0:9", "queue.emails.dlq:0:10"])

    assert [str(place) for place in found] == ["queue.emails.dlq:0:9", "queue.emails.dlq:0:10"]


def test_what_was_seen_tells_what_a_filter_could_have_meant() -> None:
    seen = Seen(set(), set())
    seen.note(LETTER)

    assert seen.advice(Filter(task="send_mial")) == "no letter here has the task 'send_mial'; the nearest is send_mail"
    assert "the nearest is SMTPConnectError" in seen.advice(Filter(error="SMTPConectError"))
    assert seen.advice(Filter(task="send_mail", reason="other")) == ""
