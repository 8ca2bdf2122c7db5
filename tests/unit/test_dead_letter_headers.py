"""What the headers of a dead letter say, and what is read from them."""

import uuid
from datetime import UTC, datetime

import msgspec
import pytest
from aiokafka import ConsumerRecord

from schemas.commands import Command
from schemas.envelope import Headers, Identity
from streams.dead_letter import Letter, letter_of
from streams.dead_letters import MAX_STACK_BYTES, dead_letter_headers, error_class
from streams.records import Record

NOW = "2026-03-04T12:00:00Z"
RUN = uuid.UUID(int=7)
ORDER = Command(
    id=RUN,
    task="greet_user",
    args={"user_id": 1},
    caused_at=datetime(2026, 3, 4, tzinfo=UTC),
    cause=Identity("/test", "user.created", "1"),
    attempt=3,
)


def record(topic: str = "queue.emails", value: bytes = b"{}", headers: Headers | None = None) -> Record:
    return Record(topic, 2, 17, b"k", value, headers or [], 1_000)


def raised(error: Exception) -> Exception:
    """The same with a traceback."""
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


def letter(topic: str, value: bytes, headers: Headers) -> Letter:
    """As it is read from the topic of dead letters."""
    found = ConsumerRecord(f"prefix.{topic}", 0, 5, 2_000, 0, b"k", value, None, 1, 1, tuple(headers))
    return letter_of(found, topic)


def test_a_letter_says_where_it_came_from_and_why_it_died() -> None:
    error = raised(ConnectionError("gone"))

    headers = dead_letter_headers(record(), "gave up", NOW, task="greet_user", attempts=3, error=error, run=RUN)
    read = letter("queue.emails.dlq", msgspec.json.encode(ORDER), headers)

    assert (read.origin, read.origin_topic) == ("queue.emails:2:17", "queue.emails")
    assert (read.task, read.run, read.attempts) == ("greet_user", RUN, 3)
    assert (read.error, read.reason) == ("ConnectionError", "gave up")
    assert dict(headers)["tailrace-run"] == str(RUN).encode()
    assert read.died_at == datetime(2026, 3, 4, 12, tzinfo=UTC)
    assert read.stack is not None
    assert read.stack.startswith("Traceback")
    assert read.stack.endswith("ConnectionError: gone\n")


def test_of_a_long_stack_the_end_is_kept() -> None:
    error = raised(ValueError("é" * 5000 + "the end"))

    stack = dict(dead_letter_headers(record(), "", NOW, error=error))["tailrace-stack"]

    assert stack is not None
    assert MAX_STACK_BYTES - 3 <= len(stack) <= MAX_STACK_BYTES
    assert stack.decode().endswith("ééthe end\n")


def test_a_stack_that_is_no_utf_8_is_escaped() -> None:
    stack = dict(dead_letter_headers(record(), "", NOW, error=raised(ValueError("bo\udcee"))))["tailrace-stack"]

    assert stack is not None
    assert rb"bo\udcee" in stack


def test_a_letter_without_an_exception_has_neither_class_nor_stack() -> None:
    headers = dict(dead_letter_headers(record(), "never", NOW))

    assert not {"tailrace-error", "tailrace-stack", "tailrace-run", "tailrace-task"} & set(headers)


def test_an_error_is_named_with_its_module_unless_it_is_built_in() -> None:
    assert error_class(TimeoutError()) == "TimeoutError"
    assert error_class(msgspec.ValidationError()) == "msgspec.ValidationError"


def test_headers_of_an_earlier_death_do_not_pile_up() -> None:
    first = dead_letter_headers(record(headers=[("odd", b"\xfe")]), "first", NOW)

    second = dead_letter_headers(record(headers=first), "second", NOW)

    assert [value for name, value in second if name == "tailrace-reason"] == [b"second"]
    assert [name for name, _ in second].count("odd") == 1


def test_the_original_headers_are_those_without_ours() -> None:
    came: Headers = [("ce_id", b"1"), ("odd", None), ("odd", b"\xfe")]
    headers = dead_letter_headers(record("user.created", headers=came), "bad", NOW)

    assert letter("user.created.dlq", b"{", headers).original_headers == came


def test_a_command_that_goes_back_as_it_came_keeps_the_name_of_its_task() -> None:
    headers = dead_letter_headers(record(), "refused", NOW, task="greet_user", attempts=1)

    read = letter("queue.emails.dlq", msgspec.json.encode(ORDER), headers)

    assert read.original_headers == [("tailrace-task", b"greet_user")]


def test_a_letter_that_says_little_is_read_all_the_same() -> None:
    read = letter("post.uploaded.dlq", b"{", [("tailrace-offset", b"3"), ("tailrace-at", b"soon")])

    assert (read.origin, read.task, read.run, read.attempts, read.error, read.stack) == (None,) * 6
    assert read.reason == ""
    assert read.died_at == datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)


@pytest.mark.parametrize("value", [b"{", b'{"task": 1}', b"\xff"])
def test_what_is_no_command_on_a_queue_has_none(value: bytes) -> None:
    assert letter("queue.emails.dlq", value, []).command is None
