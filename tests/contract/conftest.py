"""What the contract of every task is held against."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.settings import Settings
from tests.one_run import Workshop, workshop


@pytest.fixture
async def shop(settings: Settings, engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Workshop]:
    """Everything that a task needs, for one test."""
    async with workshop(settings, engine, tmp_path) as made:
        yield made
