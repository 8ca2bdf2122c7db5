"""The options of ``tailrace schedule`` that are refused before anything is asked of the database."""

import pytest
from click.testing import CliRunner

from streams.cli import cli


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "x", "--every", "1h"), "--task is missing; the tasks are "),
        (("create", "x", "--task", "t", "--every", "soon"), "'soon' is not a duration"),
        (("create", "x", "--task", "t", "--every", "9" * 20 + "d"), "is beyond the calendar"),
        (("create", "x", "--task", "t", "--at", "2027-01-01T00:00"), "has no time zone; write Z for UTC"),
        (("create", "x", "--task", "t", "--args", "7", "--every", "1h"), "'7' is no JSON object"),
        (("create", "x", "--task", "t", "--queue", "mail", "--every", "1h"), "'media', 'emails'"),
        (("edit", "x"), "say what to change, e.g. --cron"),
        (("backfill", "x", "--from", "yesterday", "--to", "0s"), "or how long ago it was"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(arguments: tuple[str, ...], message: str) -> None:
    found = CliRunner().invoke(cli, ["schedule", *arguments])

    assert found.exit_code == 2
    assert message in " ".join(found.output.replace("\n", " ").replace("│", " ").split())
