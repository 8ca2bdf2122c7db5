"""Write what is true into rows of the backend, and nothing else: no row that is right, none that somebody else has.

The backend is never made to wait for its own rows in turn: a row that it has locked is passed over, so that no
deadlock can have this statement in it, and so is one that it has changed since the truth was read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from streams.data.key_range import KeyRange


def correction(
    table: sa.Table, columns: Sequence["sa.ColumnClause[Any]"], truth: sa.CTE, keys: KeyRange
) -> tuple[sa.CTE, sa.CTE]:
    """The rows of the range that are wrong, and those that were put right, as parts of one statement.

    ``truth`` has the table's ``id`` and, for each of the columns by its number, ``was_0`` and ``is_0``.
    """
    key: sa.ColumnClause[Any] = sa.column(table.c.id.name, table.c.id.type)
    rows = sa.table(table.name, key, *(sa.column(c.name, c.type) for c in columns), schema=table.schema)
    numbered = [(rows.c[column.name], number) for number, column in enumerate(columns)]
    differs = (truth.c[f"was_{n}"].is_distinct_from(truth.c[f"is_{n}"]) for _, n in numbered)
    wrong = materialized(sa.select(truth).where(sa.or_(*differs)), "wrong")
    unchanged = (column.is_not_distinct_from(wrong.c[f"was_{n}"]) for column, n in numbered)
    in_range = keys.covers(rows.c[key.name])
    free = materialized(
        sa.select(wrong.c.id, *(wrong.c[f"is_{n}"] for _, n in numbered))
        .join_from(rows, wrong, rows.c[key.name] == wrong.c.id)
        .where(in_range, *unchanged)
        .with_for_update(key_share=True, skip_locked=True, of=rows),
        "free",
    )
    right = (
        sa.update(rows)
        .where(rows.c[key.name] == free.c.id, in_range)
        .values({column: free.c[f"is_{n}"] for column, n in numbered})
        .returning(sa.literal(1).label("one"))
        .cte("put_right")
    )
    return wrong, right


def materialized(query: "sa.Select[Any]", name: str) -> sa.CTE:
    """A part of a statement that is worked out once, and not over again for each row that reads it."""
    return query.cte(name).prefix_with("MATERIALIZED")


def counted(parts: Mapping[str, sa.FromClause | None]) -> "sa.Select[Any]":
    """One row with the number of rows of each part; 0 for None, a part that is left out of the statement."""
    return sa.select().add_columns(*(_count(part).label(name) for name, part in parts.items()))


def _count(part: sa.FromClause | None) -> "sa.ColumnElement[int]":
    return sa.literal(0) if part is None else sa.select(sa.func.count()).select_from(part).scalar_subquery()
