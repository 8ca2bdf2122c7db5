"""One row of the backend by an id that came with an event: an integer or a text, whatever the column is."""

import re
import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.db import autocommit

INTEGER = re.compile(r"-?[0-9]{1,19}")


async def find_row(
    engine: AsyncEngine,
    table: sa.Table,
    row_id: int | str,
    *columns: "sa.Column[Any]",
    **optional: "sa.ColumnElement[Any] | None",
) -> sa.Row[Any] | None:
    """These columns of the row, by their logical names, or None where there is no such row. ``optional``: more of its
    columns, by the names that they are to have; None where the backend lacks one gives NULL.
    """
    known = as_id_of(table.c.id, row_id)
    if known is None:
        return None
    wanted = [column.label(column.key) for column in columns]
    wanted += [(sa.null() if more is None else more).label(name) for name, more in optional.items()]
    async with autocommit(engine) as connection:
        return (await connection.execute(sa.select(*wanted).where(table.c.id == known))).first()


def as_id_of(column: "sa.Column[Any]", row_id: int | str) -> int | str | uuid.UUID | None:
    """The id in the column's own type, so that its index is used; None for what cannot be one of its values."""
    text = str(row_id)
    if isinstance(column.type, sa.Integer):
        return _as_integer(text, 63 if isinstance(column.type, sa.BigInteger) else 31)
    if isinstance(column.type, sa.Uuid):
        return _as_uuid(text)
    return None if "\0" in text else text


def _as_integer(text: str, bits: int) -> int | None:
    number = int(text) if INTEGER.fullmatch(text) else None
    return number if number is not None and -(2**bits) <= number < 2**bits else None


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
