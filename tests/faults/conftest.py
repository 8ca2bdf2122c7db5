"""Sizes of the faults, and the grounds on which storms blow."""

import random
from collections.abc import AsyncIterator
from typing import Literal

import pytest

from streams.devstack.stack import ANY_PORTS, Stack
from streams.settings import Settings
from tests.in_memory import folder_for_servers
from tests.storm import Storm
from tests.storm_fleet import Fleet
from tests.storm_ground import Ground, Grounds

SHORT_LIMIT, FULL_LIMIT = 200, 1800


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A fault of full size may take minutes."""
    limit = FULL_LIMIT if config.getoption("--full") else SHORT_LIMIT
    for item in items:
        if item.get_closest_marker("faults"):
            item.add_marker(pytest.mark.timeout(limit))


def per_test_or_file(fixture_name: str, config: pytest.Config) -> Literal["function", "module"]:
    """The scope of what is costly to make: in their full size tests share nothing."""
    return "function" if config.getoption("--full") else "module"


@pytest.fixture
def rng() -> random.Random:
    """Chance that is the same in each run."""
    return random.Random(11)


@pytest.fixture(scope="package")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Servers of the storms' own: they stop and start."""
    with folder_for_servers(tmp_path_factory.mktemp("servers")) as folder:
        async with Stack(folder, ports=ANY_PORTS, durable=False) as running:
            yield running


@pytest.fixture(scope="package")
async def grounds(servers: Stack, tmp_path_factory: pytest.TempPathFactory, full: bool) -> AsyncIterator[Grounds]:
    """One ground for all short tests, and one for each of full size."""
    grounds = Grounds(servers, tmp_path_factory.mktemp("storms"), shared=not full)
    yield grounds
    await grounds.close()


@pytest.fixture
async def ground(grounds: Grounds) -> Ground:
    return await grounds.give()


@pytest.fixture
def storm(ground: Ground) -> Storm:
    """Commands that must each be done once."""
    return ground.storm


@pytest.fixture
def fleet(ground: Ground) -> Fleet:
    """Two workers, ready."""
    return ground.fleet


@pytest.fixture
def settings(ground: Ground) -> Settings:
    """Where both have their database and their topics."""
    return ground.settings
