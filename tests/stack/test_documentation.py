"""The examples of README and docs are run, so that they stay true."""

import ast
import re
from pathlib import Path

import asyncpg
import click
import pytest

from agents import TASKS
from schemas.events import FACTS, UserCreated
from schemas.export import event_schemas
from schemas.facts import parse_fact
from streams.cli import cli
from streams.durations import parse_duration
from streams.settings import FIELDS, Settings
from streams.task import Task
from streams.trending.view import WINDOWS
from tests.guides import ROOT, blocks
from tests.waiting import eventually
from tests.workers import running_worker

GUIDES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NOW = "'$(date -u +%FT%TZ)'"
"""What the shell replaces in an example."""

OWN_COMMANDS = {"test"}
"""Of run.py itself, not of tailrace."""


def _commands(guide: Path) -> list[str]:
    """Each ``tailrace ...`` and ``python3 run.py ...`` that a reader would type or read of, without these words."""
    typed_blocks = "\n".join(blocks(guide)).replace(NOW, "now")
    typed = re.findall(r"(?:^|\(|\$\()(?:tailrace|python3 run\.py) ([a-z][^\n#)|]*)", typed_blocks, re.MULTILINE)
    named = re.findall(r"`(?:tailrace|python3 run\.py) ([a-z][^`.|]*)`", guide.read_text())
    return typed + named


SQL = [(guide.name, block) for guide in GUIDES for block in blocks(guide, "sql")]
PYTHON = [(guide.name, block) for guide in GUIDES for block in blocks(guide, "python")]
COMMANDS = sorted({(guide.name, command.strip()) for guide in GUIDES for command in _commands(guide)})


@pytest.mark.parametrize(("guide", "script"), SQL, ids=[f"{guide}-{i}" for i, (guide, _) in enumerate(SQL)])
async def test_an_example_in_sql_runs(guide: str, script: str, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)

    await connection.execute(script)

    await connection.close()


@pytest.mark.parametrize("guide", ["README.md", "docs/events.md"])
async def test_what_an_example_says_is_an_event_of_its_schema(guide: str, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    example = next(block for block in blocks(ROOT / guide, "sql") if "tailrace.emit" in block)

    await connection.execute(example)

    row = await connection.fetchrow("SELECT topic, key, payload FROM tailrace.outbox")
    await connection.close()
    assert row is not None
    fact = parse_fact(row["topic"], row["payload"])
    assert isinstance(fact, UserCreated)
    assert row["key"] == str(fact.user_id).encode()


async def test_the_example_of_the_readme_sends_the_mail(settings: Settings, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    example = next(block for block in blocks(ROOT / "README.md", "sql") if "tailrace.emit" in block)
    sent = "SELECT recipient FROM tailrace.mail_deliveries WHERE state = 'sent'"

    async with running_worker(settings, TASKS):
        await connection.execute(example)
        recipient = await eventually(lambda: connection.fetchval(sent), what="a welcome mail")

    states = await connection.fetch("SELECT task, state FROM tailrace.task_runs")
    await connection.close()
    assert recipient == "ada@example.org"
    assert [tuple(row) for row in states] == [("send_welcome_email", "done")]


@pytest.mark.parametrize(("guide", "program"), PYTHON, ids=[f"{guide}-{i}" for i, (guide, _) in enumerate(PYTHON)])
def test_an_example_in_python_parses_and_its_imports_of_ours_exist(guide: str, program: str) -> None:
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("schemas", "streams", "agents"):
            module = __import__(node.module or "", fromlist=["*"])
            assert all(hasattr(module, alias.name) for alias in node.names), f"{guide}: {ast.unparse(node)}"


def test_the_example_of_a_task_is_a_task() -> None:
    program = next(block for block in blocks(ROOT / "docs/tasks.md", "python") if "@task(" in block)
    namespace: dict[str, object] = {"__name__": "example"}

    exec(compile(program, "docs/tasks.md", "exec"), namespace)

    declared = namespace["count_sign_up"]
    assert isinstance(declared, Task)
    assert (declared.name, declared.queue, declared.on) == ("count_sign_up", "users", UserCreated)


@pytest.mark.parametrize(("guide", "line"), COMMANDS, ids=[f"{guide}: {line}" for guide, line in COMMANDS])
def test_a_command_that_is_named_exists_with_its_options(guide: str, line: str) -> None:
    words = line.replace('"', " ").split()
    if words[0] in OWN_COMMANDS:
        return
    command: click.Command = cli
    while isinstance(command, click.Group) and words:
        name = words.pop(0)
        assert name in command.commands, f"{guide}: there is no command {name!r} of {command.name}"
        command = command.commands[name]

    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= known, f"{guide}: {line}"


def test_the_json_of_each_publish_example_is_an_event() -> None:
    examples = [
        (found[1], found[2])
        for guide in GUIDES
        for found in re.finditer(r"publish (\S+) '(\{.*?\})'", guide.read_text().replace(NOW, "2026-03-04T12:00:00Z"))
    ]

    assert examples
    for event_type, data in examples:
        assert parse_fact(event_type, data)


def test_the_guide_names_each_field_of_each_event() -> None:
    guide = (ROOT / "docs/events.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+\.\w+)` \| `\w+` \| (.*) \|$", guide, re.MULTILINE))

    assert set(rows) == set(FACTS)
    for event_type, fields in rows.items():
        schema = event_schemas()[event_type]["$defs"][FACTS[event_type].__name__]
        optional = set(schema["properties"]) - set(schema["required"]) - {"version"}
        assert set(fields.split(", ")) == set(schema["required"]) | {f"{name}?" for name in optional}


def test_the_guide_names_each_window_of_the_trends() -> None:
    guide = (ROOT / "docs/getting-started.md").read_text()

    assert all(f"`{window}`" in guide for window in WINDOWS)


def test_the_guide_gives_the_default_of_each_setting() -> None:
    guide = (ROOT / "docs/operating.md").read_text()
    documented = dict(re.findall(r"^\| `(TAILRACE_\w+)` \| `([^`]*)` \|", guide, re.MULTILINE))
    settings = Settings.load({})

    assert len(documented) > 20
    for name, text in documented.items():
        group, field = FIELDS[name]
        default = getattr(getattr(settings, group), field)
        expected = parse_duration(text) if hasattr(default, "total_seconds") else text
        shown = default if hasattr(default, "total_seconds") else str(default)
        assert shown == expected, f"docs/operating.md: the default of {name} is {shown}"
