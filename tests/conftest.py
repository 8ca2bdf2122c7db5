"""One real stack for the whole run; for each test that asks, a database and topics of its own in it."""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from unittest.mock import patch

import asyncpg
import pytest
from jinja2 import Environment
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backend import backend_tables
from streams.db import engine_for
from streams.devstack.processes import free_port
from streams.devstack.smtp_sink import SmtpSink
from streams.devstack.stack import ANY_PORTS, Stack
from streams.log import configure_logging
from streams.migrations.run import migrate
from streams.setting_groups import Log
from streams.settings import Settings
from tests import forked
from tests.compiled_templates import Compiled
from tests.environments import environment_on
from tests.in_memory import folder_for_servers
from tests.order import is_core, place_of

TEMPLATE = "migrated"
FULL_LIMIT = 3600
"""Seconds that a test of full size may take."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run faults, replays and guides at full size: minutes each")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest files come first, and the core is marked. A test that has a full size may take minutes in it."""
    items.sort(key=lambda item: place_of(item.path))
    for item in items:
        if is_core(item.path):
            item.add_marker(pytest.mark.core)
    for item in items if config.getoption("--full") else ():
        if "full" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(FULL_LIMIT), append=False)


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Whether tests that have a full size come in it."""
    return bool(pytestconfig.getoption("--full"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Repeat at the end what `python3 run.py test` found before the tests: its exit code tells of it too."""
    failures = os.environ.get("GATE_FAILURES")
    if failures:
        terminalreporter.section("the gate failed before the tests", red=True, bold=True)
        terminalreporter.write_line(f"{failures}: see the top of this output")


@pytest.fixture(scope="session", autouse=True)
def logs() -> None:
    """Logs as the programs write them; pytest shows those of a failed test."""
    configure_logging(Log(level="info"))


@pytest.fixture
async def sink(tmp_path: Path) -> AsyncIterator[SmtpSink]:
    """A mail server of the test's own, so that each mail in it is one of the test's."""
    sink = SmtpSink(tmp_path / "mails", free_port())
    await sink.start()
    try:
        yield sink
    finally:
        await sink.stop()


@pytest.fixture(scope="session", autouse=True)
def templates() -> Iterator[None]:
    """Compiling those of the mails would take more of most tests than what they test."""
    with patch("streams.mail.wording.Environment", partial(Environment, bytecode_cache=Compiled())):
        yield


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Kafka, PostgreSQL and the SMTP sink, started when the first test asks for them."""
    forked.prepare()
    with folder_for_servers(tmp_path_factory.mktemp("stack")) as folder:
        async with Stack(folder, ports=ANY_PORTS, durable=False) as running:
            yield running


@pytest.fixture(scope="session")
async def migrated_template(stack: Stack) -> str:
    """The name of a database with our schema and the backend's tables, both empty, to copy from."""
    await _execute(stack.database_url, f"CREATE DATABASE {TEMPLATE}")
    url = _sibling(stack.database_url, TEMPLATE)
    await migrate(url)
    engine = engine_for(Settings.load({"TAILRACE_DATABASE__URL": url}).database)
    async with engine.begin() as connection:
        await connection.run_sync(backend_tables().metadata.create_all)
    await engine.dispose()
    return TEMPLATE


@pytest.fixture
async def database_url(stack: Stack, migrated_template: str) -> AsyncIterator[str]:
    """A migrated database that only this test uses."""
    name = f"t{uuid.uuid4().hex[:12]}"
    await _execute(stack.database_url, f"CREATE DATABASE {name} TEMPLATE {migrated_template} STRATEGY FILE_COPY")
    yield _sibling(stack.database_url, name)
    await _execute(stack.database_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def environment(stack: Stack, database_url: str, tmp_path: Path) -> dict[str, str]:
    """Settings as variables: the stack, this test's own database, topics, media root and free ports."""
    return environment_on(stack, database_url, tmp_path)


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    """The same, parsed."""
    return Settings.load(environment)


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """A pool on this test's database."""
    created = engine_for(settings.database)
    yield created
    await created.dispose()


def _sibling(url: str, database: str) -> str:
    return url.rsplit("/", 1)[0] + f"/{database}"


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
