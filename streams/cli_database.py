"""What the commands that work on the database share: settings, a pool, and words for what goes wrong."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click
import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.database_errors import DATABASE_ERRORS, explain
from streams.db import engine_for
from streams.log import configure_logging
from streams.settings import Settings, SettingsError
from streams.starting import CannotStart, require_schema

T = TypeVar("T")


def with_database(
    command: str, action: Callable[[Settings, AsyncEngine], Awaitable[T]], *, refusals: tuple[type[Exception], ...] = ()
) -> T:
    """What ``action`` returns. The program ends with a message where a setting is wrong, the database cannot be used
    or has another schema, or ``action`` raises one of ``refusals``.
    """
    try:
        settings = Settings.load()
    except SettingsError as error:
        sys.exit(f"tailrace: {error}")
    configure_logging(settings.log)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it would log of a broker that is away we say once
    try:
        return asyncio.run(_on_engine(settings, action))
    except CannotStart as error:
        sys.exit(f"tailrace {command}: {error}")
    except refusals as error:
        sys.exit(f"tailrace {command}: {error}")
    except DATABASE_ERRORS as error:
        sys.exit(f"tailrace {command}: {explain(error, settings.database)}")


async def _on_engine(settings: Settings, action: Callable[[Settings, AsyncEngine], Awaitable[T]]) -> T:
    engine = engine_for(settings.database)
    try:
        await require_schema(engine, settings.database)
        return await action(settings, engine)
    finally:
        await engine.dispose()


def echo_json(value: Any) -> None:
    """One JSON document for programs."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
