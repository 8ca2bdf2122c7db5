"""What the role of the workers needs where it is not the one that attaches."""

from collections.abc import Iterator

import sqlalchemy as sa

from schemas.backend import BackendTables
from streams.attach.event_sql import quoted, quoted_table
from streams.attach.installing import Step

MAINTAIN_SINCE = 170000
"""The right to vacuum a table of another role came with PostgreSQL 17."""

COUNTED = ("users", "posts", "hashtags")
"""Tables whose columns tasks fill."""

CLEANED = (
    *("posts", "comments", "likes", "shares", "bookmarks", "post_hashtags", "notifications", "reports"),
    *("sessions", "outstanding_tokens", "blacklisted_tokens", "refresh_tokens"),
)
"""Tables from which tasks delete, and into which a restore brings back."""


def on_our_schema(role: str, server: int) -> Step:
    """For us to run, who own it: the tables that are there and those that later versions bring."""
    to = f"TO {quoted(role)}"
    rows, future = "SELECT, INSERT, UPDATE, DELETE", "ALTER DEFAULT PRIVILEGES IN SCHEMA tailrace"
    statements = [
        f"GRANT USAGE ON SCHEMA tailrace {to}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA tailrace {to}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA tailrace {to}",
        f"GRANT EXECUTE ON FUNCTION tailrace.ensure_months(date, date), tailrace.drop_month(date) {to}",
        f"{future} GRANT {rows} ON TABLES {to}",
        f"{future} GRANT USAGE, SELECT ON SEQUENCES {to}",
    ]
    if server >= MAINTAIN_SINCE:
        statements.append(f"GRANT MAINTAIN ON tailrace.outbox {to}")
    return Step(f"let {role} work in the schema tailrace", statements)


def on_the_backend(role: str, backend: BackendTables, there: set[str]) -> Iterator[str]:
    """For the owner of the backend's tables to run: what the tasks read, fill and clean."""
    to = f"TO {quoted(role)}"
    yield f"GRANT USAGE ON SCHEMA {quoted(str(backend.metadata.schema))} {to};"
    named = {name: table for name, table in vars(backend).items() if isinstance(table, sa.Table)}
    for rights, names in (
        ("SELECT", tuple(named)),
        ("UPDATE", COUNTED),
        ("INSERT, UPDATE, DELETE", CLEANED),  # UPDATE locks them
    ):
        tables = [quoted_table(named[name]) for name in names if named[name].name in there]
        if tables:
            yield f"GRANT {rights} ON {', '.join(tables)} {to};"
