"""Connections to PostgreSQL: one pool for work, and direct ones for what a transaction pooler cannot carry."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
import msgspec
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from streams.cancellation import is_cancelled
from streams.setting_groups import Database

T = TypeVar("T")
log = structlog.get_logger(__name__)


def engine_for(database: Database) -> AsyncEngine:
    """The pool of this process. Connects on first use; a broken connection is replaced when it is next taken."""
    return _engine(database, database.pool_size, NO_LONG_IDLING)


def upkeep_engine_for(database: Database) -> AsyncEngine:
    """A small pool for claims, leases and what keeps a worker going: effects that take every connection of the other
    one, or lock a row, hold none of that up.
    """
    return _engine(database, UPKEEP_CONNECTIONS, NO_LONG_IDLING | {"lock_timeout": LOCK_TIMEOUT})


def _engine(database: Database, connections: int, patience: dict[str, str]) -> AsyncEngine:
    """``patience``: a worker that vanishes in mid-transaction, behind a link that nobody closes, must not keep its
    rows locked, nor a locked row a worker. A pooler would refuse the parameters: beside one, set them for the role.
    """
    own = {} if database.direct_url else patience
    return create_async_engine(
        _sqlalchemy_url(database.url),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=30,
        pool_pre_ping=False,
        hide_parameters=True,  # errors are stored and logged; parameters hold addresses
        json_serializer=_to_json,
        json_deserializer=msgspec.json.decode,
        connect_args={
            "timeout": 10,
            "command_timeout": 60,
            "server_settings": {"application_name": "tailrace", "timezone": "UTC"} | own,
        },
    )


@asynccontextmanager
async def direct_connection(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own for advisory locks and LISTEN, past any transaction pooler."""
    connection = await asyncpg.connect(
        database.direct_url or database.url,
        timeout=10,
        command_timeout=60,
        server_settings={"application_name": "tailrace-direct", "timezone": "UTC"},
    )
    try:
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def autocommit(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection on which each statement is its own transaction: one round trip instead of three."""
    async with engine.connect() as connection:
        yield await connection.execution_options(isolation_level="AUTOCOMMIT")


def is_passing(error: BaseException) -> bool:
    """Whether the same statement can succeed later: the database is away, restarting, full of connections,
    or chose this transaction as the victim of a deadlock.
    """
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        return error.connection_invalidated or state[:2] in PASSING_CLASSES or is_passing(error.orig or ValueError())
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "")[:2] in PASSING_CLASSES
    return isinstance(error, LOST_CONNECTION)


def is_unstorable(error: DBAPIError) -> bool:
    """Whether it is the data that the database refuses: the same row will never go in."""
    state = getattr(error.orig, "sqlstate", None) or ""
    cause = error.orig.__cause__ if error.orig else None
    return state[:2] in ("22", "23", "54") or isinstance(cause, ValueError)


async def until_available(operation: Callable[[], Awaitable[T]], what: str) -> T:
    """Do it, again and again while the database is away. Errors that will not pass are raised."""
    while True:
        try:
            return await operation()
        except Exception as error:
            if is_cancelled() or not is_passing(error):
                raise
            log.warning("waiting for the database", what=what, error=repr(error))
            await asyncio.sleep(AFTER_ERROR)


def is_locked_out(error: DBAPIError) -> bool:
    """Whether a lock was not to be had in time."""
    return getattr(error.orig, "sqlstate", None) == "55P03"


AFTER_ERROR = 0.5
UPKEEP_CONNECTIONS = 4
LOCK_TIMEOUT = "500ms"
NO_LONG_IDLING = {"idle_in_transaction_session_timeout": "15s"}

LOST_CONNECTION = (OSError, TimeoutError, PoolTimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asyncpg and the pool raise when the server goes away; the last of them where it goes in mid-protocol."""

PASSING_CLASSES = ("08", "40", "53", "55", "57")
"""Connection, rollback, resources, locks, operator intervention. Source: PostgreSQL 18, appendix A."""


def _sqlalchemy_url(url: str) -> str:
    return "postgresql+asyncpg://" + url.split("://", 1)[1]


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
