"""What can go wrong with the database, in words that say what to check. No password is ever in them."""

from urllib.parse import urlsplit

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from streams.setting_groups import Database

DATABASE_ERRORS = (
    DBAPIError,
    PoolTimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)
"""What a query raises when the database refuses it, or cannot be reached."""

NO_RIGHT = "42501"
ADVICE = {
    NO_RIGHT: "refuses this role a right; `tailrace attach --worker-role ROLE` gives those in our schema, and prints "
    "the GRANTs on the backend's tables",
    "28": "refuses the login; check user and password in TAILRACE_DATABASE__URL",
    "3D": "has no database of this name; create it, or check TAILRACE_DATABASE__URL",
    "3F": "has no schema `tailrace`; run `tailrace migrate`",
    "42": "has no tables of this version; run `tailrace migrate`",
    "53": "has no room for another connection; check its max_connections and TAILRACE_DATABASE__POOL_SIZE",
    "57": "is starting up, stopping, or broke off the query; wait, or look at its log",
}
"""SQLSTATE, or its class -> advice. Source: PostgreSQL 18, appendix A."""


def explain(error: BaseException, database: Database) -> str:
    """Where the database is, what is wrong with it and what to do."""
    state = _state(error)
    advice = "cannot be reached; check that it runs and TAILRACE_DATABASE__URL"
    if state:
        advice = ADVICE.get(state) or ADVICE.get(state[:2]) or "failed"
    detail = _first_line(error)
    return f"PostgreSQL at {place(database)} {advice} ({detail})"


def in_words(error: BaseException) -> str:
    """An error of any kind, and what to do where it is a right that the database refuses."""
    return f"PostgreSQL {ADVICE[NO_RIGHT]} ({_first_line(error)})" if _state(error) == NO_RIGHT else repr(error)


def place(database: Database) -> str:
    """Host, port and name of the database."""
    url = urlsplit(database.url)
    return f"{url.hostname or 'localhost'}:{url.port or 5432}{url.path}"


def _state(error: BaseException) -> str:
    source = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return str(getattr(source, "sqlstate", None) or "")


def _first_line(error: BaseException) -> str:
    source = error
    if isinstance(error, DBAPIError) and error.orig:
        source = error.orig.__cause__ or error.orig
    text = str(source).strip()
    return text.splitlines()[0] if text else "no answer in time" if isinstance(source, TimeoutError) else repr(source)
