"""Arguments that people give are checked before anything is queued, and a wrong one names the right ones."""

from typing import Literal

import msgspec
import pytest

from agents import TASKS
from schemas.events import Instant
from streams.task import Context, Done, Outcome, task
from streams.task_arguments import (
    UnknownTask,
    WrongArguments,
    check_arguments,
    describe,
    find_task,
    parse_arguments,
)


class Report(msgspec.Struct):
    """One argument of each kind."""

    day: Instant
    kind: Literal["short", "long"]
    tags: list[str]
    limit: int = 10
    note: str | None = None


@task(queue="analytics")
async def make_report(args: Report, ctx: Context) -> Outcome:
    return Done()


GOOD = {"day": "2026-03-04T12:00:00Z", "kind": "short", "tags": ["a"]}


def test_arguments_are_as_a_command_carries_them_with_their_defaults() -> None:
    assert check_arguments(make_report, GOOD) == {**GOOD, "limit": 10, "note": None}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({**GOOD, "limits": 3}, "there is no argument 'limits' (did you mean limit?)"),
        ({"day": GOOD["day"], "kind": "short"}, "tags is missing"),
        ({**GOOD, "limit": "3"}, "limit: Expected `int`, got `str`"),
        ({**GOOD, "tags": ["a", 1]}, "tags[1]: Expected `str`, got `int`"),
        ({**GOOD, "kind": "middle"}, "kind: Invalid enum value 'middle'"),
        ({**GOOD, "day": "yesterday"}, "day: Invalid RFC3339 encoded datetime"),
        ({**GOOD, "note": "a\x00b"}, "the character NUL"),
    ],
)
def test_a_wrong_argument_is_named(args: dict[str, object], message: str) -> None:
    with pytest.raises(WrongArguments) as raised:
        check_arguments(make_report, args)

    assert message in str(raised.value)
    assert str(raised.value).endswith(f"It takes {describe(make_report)}")


def test_every_wrong_name_is_said_at_once() -> None:
    with pytest.raises(WrongArguments, match=r"no argument 'user' \(did you mean user_id\?\); user_id is missing"):
        check_arguments(find_task(TASKS, "send_welcome_email"), {"user": 1})


def test_the_arguments_of_a_task_are_described_with_their_types() -> None:
    assert describe(make_report) == (
        'day (an instant such as 2026-03-04T12:00:00Z), kind (one of "long", "short"), tags (a list, each a text), '
        "limit (an integer, optional), note (a text or null, optional)"
    )


@pytest.mark.parametrize("text", ["{", "[1]", "user_id=1"])
def test_what_is_no_json_object_is_shown_an_example(text: str) -> None:
    with pytest.raises(WrongArguments) as raised:
        parse_arguments(find_task(TASKS, "send_welcome_email"), text)

    assert """'{"user_id": ...}'""" in str(raised.value)


def test_a_backslash_before_u0000_is_no_nul() -> None:
    welcome = find_task(TASKS, "send_welcome_email")

    assert parse_arguments(welcome, r'{"user_id": "a\\u0000"}') == {"user_id": r"a\u0000"}


def test_an_unknown_task_is_told_the_nearest_and_all() -> None:
    with pytest.raises(UnknownTask) as raised:
        find_task(TASKS, "send_welcome_mail")

    assert "did you mean send_welcome_email?" in str(raised.value)
    assert all(task.name in str(raised.value) for task in TASKS)
