"""What every long-running program of ours needs before it begins: a schema, topics, and a way to be stopped."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.database_errors import DATABASE_ERRORS, explain
from streams.migrations import NEWEST
from streams.rights_check import closed_to_us, missing_grants
from streams.schema_check import schema_problem, schema_version
from streams.setting_groups import Database
from streams.settings import Settings
from streams.topics import missing_topics

log = structlog.get_logger(__name__)


class CannotStart(Exception):
    """The program cannot begin; the message says why and what to do."""


async def require_schema(engine: AsyncEngine, database: Database) -> None:
    """Raises ``CannotStart`` unless the database answers and has the schema of this version."""
    try:
        found = await schema_version(engine)
    except DATABASE_ERRORS as error:
        raise CannotStart(explain(error, database)) from error
    problem = schema_problem(found, NEWEST)
    if problem:
        raise CannotStart(problem)


async def require_rights(engine: AsyncEngine, settings: Settings) -> None:
    """Raises ``CannotStart`` where a worker could keep no record of its runs. Rights on the backend's tables that it
    lacks are told in the log: which tasks come is not known.
    """
    problem = await closed_to_us(engine)
    if problem:
        raise CannotStart(problem)
    grants = await missing_grants(engine, settings)
    if grants:
        log.warning("some tasks will fail for want of rights; let the owner of the tables run these", grants=grants)


async def require_topics(settings: Settings) -> None:
    """Raises ``CannotStart`` unless every topic is there: a group without topics would wait for ever."""
    missing = await missing_topics(settings)
    if missing:
        names = ", ".join(topic.name for topic in missing[:3])
        raise CannotStart(f"{len(missing)} topics are missing ({names}, ...); run `tailrace migrate`")


@contextmanager
def stopped_by_signals() -> Iterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set. A second one ends the process at once: it loses nothing that a killed
    process does not find again, and children die with it.
    """
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        if stopped.is_set():
            log.warning("told to stop again: ending at once", signal=number.name)
            os._exit(128 + number)
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    try:
        yield stopped
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
