"""Runs as people see them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from streams.queues_table import print_queues
from streams.runs_tables import print_run, print_runs

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
NAME = "5f0c7e0e-8c3e-5d55-9f0e-0f3c6d5a7b11@2026-03-04T12:00:00.123456Z"


def run(state: str, **changes: Any) -> dict[str, Any]:
    facts = {"run": NAME, "task": "process_media_upload", "queue": "media", "state": state, "attempt": 1}
    times = {"started_at": NOW, "scheduled_for": NOW, "duration_ms": 12}
    return {**facts, **times, "error": None, "outcome": None, "worker": "w1", "args": {}, **changes}


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("shown", "remark"),
    [
        (run("parked", error="no answer"), "due 2026-03-04 12:00:00Z no answer"),
        (run("running"), "on w1"),
        (run("dead", error="550\nno"), "550 no"),
        (run("done", outcome={"bytes": 7}), '{"bytes":7}'),
        (run("dead", error="x" * 4000), "x" * 59 + "…"),
    ],
)
def test_a_run_is_one_line_with_its_whole_name_and_what_one_wants_to_know(
    shown: dict[str, Any], remark: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_runs([shown])

    (_, line) = lines(capsys)
    assert line.startswith(NAME)
    assert line.rstrip().endswith(remark)


def test_what_is_in_the_ledger_neither_steers_the_terminal_nor_is_taken_for_markup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = run("dead", task="[red]odd", error="\x1b[2Jgone", args={"name": "[b]x"})

    print_runs([shown])
    print_run(shown)
    queue = {"name": "media", "priority": 9, "paused": True, "automatic": False, "since": NOW, "waiting": None}
    print_queues([{**queue, "reason": "\x1b[2J[b]", "runs": {"queued": 0, "running": 0, "parked": 0}}])

    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.count("[red]odd") == 2
    assert out.count(r"\x1b[2Jgone") == 2
    assert "[b]x" in out
    assert r"\x1b[2J[b]" in out


def test_no_runs_print_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_runs([])

    assert lines(capsys) == []
