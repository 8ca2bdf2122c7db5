"""Status says of each part that is away why, and what to check, and never waits for long."""

import asyncio
import io
import socket
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
from click.testing import CliRunner
from rich.console import Console

from streams.cli_status import status
from streams.settings import Settings
from streams.status import Part, Status, read_status
from streams.status_tables import as_json_text, tables


def _settings(port: int) -> Settings:
    return Settings.load(
        {
            "TAILRACE_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
            "TAILRACE_DATABASE__URL": f"postgresql://me:hidden@127.0.0.1:{port}/app",
            "TAILRACE_SMTP__URL": f"smtp://127.0.0.1:{port}",
        }
    )


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


async def test_what_cannot_be_reached_says_where_it_was_looked_for_and_what_to_check(closed_port: int) -> None:
    found = await read_status(_settings(closed_port))

    assert not found.ok
    for part, setting in ((found.broker, "KAFKA"), (found.database, "DATABASE"), (found.mail, "SMTP")):
        assert part.problem is not None
        assert f"127.0.0.1:{closed_port}" in part.problem
        assert f"TAILRACE_{setting}__" in part.problem


async def test_no_password_is_shown(closed_port: int) -> None:
    found = await read_status(_settings(closed_port))

    assert "hidden" not in as_json_text(found)


async def test_servers_that_say_nothing_are_given_up(silent_port: int) -> None:
    started = time.monotonic()

    found = await read_status(_settings(silent_port), patience=0.5)

    assert time.monotonic() - started < 5
    assert [part.problem is None for part in (found.broker, found.database, found.mail)] == [False] * 3


def test_the_json_has_each_part_with_its_problem_and_facts() -> None:
    found = Status(Part(None, {"cluster": "x"}), Part("is away"), Part(None, {"server": "127.0.0.1:25"}))

    assert msgspec.json.decode(as_json_text(found)) == {
        "ok": False,
        "broker": {"problem": None, "cluster": "x"},
        "database": {"problem": "is away"},
        "mail": {"problem": None, "server": "127.0.0.1:25"},
    }


def test_the_tables_show_what_is_known_when_a_part_is_away() -> None:
    outbox = {"due": 3, "later": 1, "set_aside": 2, "oldest_seconds": 12.4}
    runs = [{"task": "send_welcome_email", "state": "done", "runs": 1234}]
    database = Part(None, {"version": "18.4", "schema": "0001", "outbox": outbox, "runs": runs})
    written = io.StringIO()
    console = Console(width=140, file=written)

    for table in tables(Status(Part("is away; check it"), database, Part(None, {"server": "127.0.0.1:25"}))):
        console.print(table)

    text = written.getvalue()
    assert "is away; check it" in text
    assert "3 to be sent, 1 for later, the oldest 12 s late, 2 set aside" in text
    assert "1,234" in text


async def test_the_command_exits_1_where_something_is_down(closed_port: int) -> None:
    environment = {
        "TAILRACE_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{closed_port}",
        "TAILRACE_DATABASE__URL": f"postgresql://127.0.0.1:{closed_port}/app",
        "TAILRACE_SMTP__URL": f"smtp://127.0.0.1:{closed_port}",
    }

    result = await asyncio.to_thread(CliRunner().invoke, status, ["--json"], env=environment)

    assert result.exit_code == 1
    assert msgspec.json.decode(result.stdout)["ok"] is False
