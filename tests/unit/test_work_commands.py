"""What a person gets wrong on the command line is said before anything is connected to."""

import pytest
from click.testing import CliRunner

from streams.cli import cli

WELCOME = ("send_welcome_email", "--args", '{"user_id": 7}')


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("send_welcome_mail",), "there is no task 'send_welcome_mail' (did you mean send_welcome_email?)"),
        (("send_welcome_email", "--args", '{"user": 7}'), "there is no argument 'user' (did you mean user_id?)"),
        ((*WELCOME, "--queue", "email"), "there is no queue 'email' (did you mean emails?)"),
        ((*WELCOME, "--at", "tomorrow"), "'tomorrow' is not an instant; write e.g. 2026-03-04T12:00:00Z"),
        ((*WELCOME, "--in", "soon"), "'soon' is not a duration"),
        ((*WELCOME, "--in", "1h", "--at", "2026-03-04T12:00:00Z"), "give --at or --in, not both"),
    ],
)
def test_a_wrong_wish_is_refused_with_the_right_one(arguments: tuple[str, ...], message: str) -> None:
    said = CliRunner().invoke(cli, ["enqueue", *arguments])

    assert said.exit_code == 1
    assert said.output.startswith("tailrace enqueue: ")
    assert message in said.output


def test_a_task_that_does_not_exist_is_not_run() -> None:
    said = CliRunner().invoke(cli, ["run", "welcome"])

    assert said.exit_code == 1
    assert "tailrace run: there is no task 'welcome'" in said.output


@pytest.mark.parametrize("arguments", [["runs", "retry"], ["runs", "retry", "--dry-run"]])
def test_a_retry_without_a_choice_is_refused(arguments: list[str]) -> None:
    said = CliRunner().invoke(cli, arguments)

    assert said.exit_code == 1
    assert "name runs by ID, or else by at least one option" in said.output


def test_a_run_is_named_as_the_list_prints_it() -> None:
    said = CliRunner().invoke(cli, ["runs", "show", "seven"])

    assert said.exit_code == 2
    assert "copy it from `tailrace runs list`" in said.output


def test_a_time_is_an_instant_or_how_long_ago_it_was() -> None:
    said = CliRunner().invoke(cli, ["runs", "list", "--since", "monday"])

    assert said.exit_code == 2
    assert "or how long ago it was, e.g. 24h or 7d" in said.output
