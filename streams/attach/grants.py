"""GRANTs for the role of the workers where it is not the one that attaches."""

from collections.abc import Iterator, Mapping, Set

from streams.attach.event_sql import quoted
from streams.attach.installing import Step
from streams.attach.rights import Rights
from streams.cleanup.foreign_keys import Relation

MAINTAIN_SINCE = 170000
"""The right to vacuum a table of another role came with PostgreSQL 17."""


def on_our_schema(role: str, server: int) -> Step:
    """For us to run, who own it: the tables that are there and those that later versions bring."""
    to = f"TO {quoted(role)}"
    rows, future = "SELECT, INSERT, UPDATE, DELETE", "ALTER DEFAULT PRIVILEGES IN SCHEMA tailrace"
    statements = [
        f"GRANT USAGE ON SCHEMA tailrace {to}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA tailrace {to}",
        f"REVOKE INSERT, UPDATE, DELETE ON tailrace.schema_version FROM {quoted(role)}",
        f"GRANT EXECUTE ON FUNCTION tailrace.ensure_months(date, date), tailrace.drop_month(date) {to}",
        f"{future} GRANT {rows} ON TABLES {to}",
    ]
    if server >= MAINTAIN_SINCE:
        statements.append(f"GRANT MAINTAIN ON tailrace.outbox {to}")
    return Step(f"let {role} work in the schema tailrace", statements)


def on_the_backend(role: str, schema: str, rights: Rights) -> Iterator[str]:
    """For the owner of the backend's tables to run."""
    to = f"TO {quoted(role)};"
    for name in dict.fromkeys([schema, *(table.schema for table in sorted(rights.tables))]):
        yield f"GRANT USAGE ON SCHEMA {quoted(name)} {to}"
    groups: dict[str, list[Relation]] = {}
    for table, found in sorted(rights.tables.items()):
        groups.setdefault(_listed(found), []).append(table)
    for listed, tables in groups.items():
        yield f"GRANT {listed} ON {', '.join(map(_name, tables))} {to}"
    for sequence in rights.sequences:
        yield f"GRANT USAGE ON SEQUENCE {_name(sequence)} {to}"


def _listed(rights: Mapping[str, Set[str]]) -> str:
    parts = ((right, ", ".join(map(quoted, sorted(columns)))) for right, columns in sorted(rights.items()))
    return ", ".join(f"{right} ({columns})" if columns else right for right, columns in parts)


def _name(relation: Relation) -> str:
    return f"{quoted(relation.schema)}.{quoted(relation.name)}"
