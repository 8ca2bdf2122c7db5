"""What is asked of a replay is checked before anything is read: messages name the right ones."""

from datetime import UTC, datetime, timedelta

import pytest

from agents.process_media_upload import process_media_upload
from agents.send_welcome_email import send_welcome_email
from streams.replay.request import Request, WrongReplay, parse_bound, understand
from tests.greeting import greet_user

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
TASKS = [send_welcome_email, process_media_upload, greet_user]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"topic": "user.crated"}, r"events cannot be read from 'user.crated' \(did you mean user.created\?\)"),
        ({"topic": "queue.emails"}, "events cannot be read from 'queue.emails'.*post.uploaded"),
        (
            {"tasks": ["send_welcome_mail"]},
            r"user.created causes no task 'send_welcome_mail' \(did you mean send_welcome",
        ),
        ({"tasks": ["process_media_upload"]}, "user.created causes no task 'process_media_upload'"),
        ({"where": "user == 7"}, r"--where: the event has no field 'user' \(did you mean"),
        ({"type": "user.creatd"}, r"no event type 'user.creatd' \(did you mean user.created\?\)"),
        ({"topic": "post.tagged"}, "post.tagged causes no task: there is nothing to replay"),
        ({"mode": "redo"}, "greet_user cannot be redone.*redo=True"),
    ],
)
def test_what_is_not_known_is_refused_with_the_nearest(asked: dict[str, object], message: str) -> None:
    with pytest.raises(WrongReplay, match=message):
        understand(Request(**{"topic": "user.created", **asked}), TASKS, None, None)  # type: ignore[arg-type]


def test_the_tasks_are_those_that_the_event_causes_or_those_of_them_that_are_named() -> None:
    every = understand(Request(topic="user.created"), TASKS, None, None)
    one = understand(Request(topic="user.created", tasks=["greet_user"]), TASKS, None, None)
    imported = understand(Request(topic="post.uploaded.imported"), TASKS, None, None)

    assert [task.name for task in every.tasks] == ["send_welcome_email", "greet_user"]
    assert [task.name for task in one.tasks] == ["greet_user"]
    assert ([task.name for task in imported.tasks], imported.event_type) == (["process_media_upload"], "post.uploaded")


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        (None, None),
        ("2026-03-01T00:00:00Z", datetime(2026, 3, 1, tzinfo=UTC)),
        ("24h", NOW - timedelta(hours=24)),
        ("offset:12", {None: 12}),
        ("offset:0=12,1=9", {0: 12, 1: 9}),
    ],
)
def test_a_bound_is_a_time_a_duration_or_an_offset(text: str | None, bound: object) -> None:
    assert parse_bound("--from", text, NOW) == bound


@pytest.mark.parametrize(
    "text", ["yesterday", "offset:", "offset:x", "offset:0=", "offset:-1", "2026-13-01T00:00:00Z", ""]
)
def test_another_bound_is_refused_with_the_forms_that_there_are(text: str) -> None:
    with pytest.raises(WrongReplay, match=r"--from .*write an instant such as 2026-03-04T12:00:00Z, .*offset:1200"):
        parse_bound("--from", text, NOW)
