"""A range of the backend's keys, which may be numbers or UUIDs."""

import uuid
from dataclasses import dataclass

import sqlalchemy as sa

Key = int | uuid.UUID


@dataclass(frozen=True)
class KeyRange:
    """Keys above ``after`` up to and with ``upto``; None is no bound."""

    after: Key | None = None
    upto: Key | None = None

    def covers(self, column: "sa.ColumnElement[Key]") -> sa.ColumnElement[bool]:
        """Whether a key is in it."""
        return sa.and_(
            sa.true(),
            *([column > self.after] if self.after is not None else []),
            *([column <= self.upto] if self.upto is not None else []),
        )

    def covers_text(self, column: "sa.ColumnElement[str]") -> sa.ColumnElement[bool]:
        """The same of keys as our tables hold them. Texts of numbers are in the order of the numbers by length, then
        text; those of UUIDs all have one length. An index on (length(column), column) serves it.
        """
        pair = sa.tuple_(sa.func.length(column), column)
        return sa.and_(
            sa.true(),
            *([pair > _pair(self.after)] if self.after is not None else []),
            *([pair <= _pair(self.upto)] if self.upto is not None else []),
        )


def _pair(key: Key) -> "sa.Tuple":
    text = str(key)
    return sa.tuple_(sa.literal(len(text)), sa.literal(text))


def key_of(text: str, column: "sa.Column[Key]") -> Key:
    """A key of this column, from its text."""
    return uuid.UUID(text) if isinstance(column.type, sa.Uuid) else int(text)
