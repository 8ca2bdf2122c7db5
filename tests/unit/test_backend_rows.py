"""Ids of events as values of the backend's columns."""

import uuid

import pytest
import sqlalchemy as sa

from streams.backend_rows import as_id_of

KEY = uuid.UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (sa.BigInteger(), 7, 7),
        (sa.BigInteger(), "7", 7),
        (sa.BigInteger(), 2**63 - 1, 2**63 - 1),
        (sa.BigInteger(), 2**63, None),
        (sa.Integer(), 2**31, None),
        (sa.BigInteger(), "abc", None),
        (sa.BigInteger(), "", None),
        (sa.BigInteger(), "7 ", None),
        (sa.BigInteger(), "٧", None),
        (sa.BigInteger(), "9" * 5000, None),
        (sa.Uuid(), str(KEY), KEY),
        (sa.Uuid(), "7", None),
        (sa.String(), 7, "7"),
        (sa.String(), "a\0", None),
    ],
)
def test_an_id_is_brought_to_the_columns_type_or_is_no_id_of_it(
    kind: "sa.types.TypeEngine[object]", given: int | str, expected: object
) -> None:
    assert as_id_of(sa.Column("id", kind), given) == expected
