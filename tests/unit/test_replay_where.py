"""Which events are meant: an expression that is read, and never evaluated by Python."""

import pytest

from schemas.events import PostUploaded
from streams.replay.where import WrongExpression, parse_where
from tests.events import post_uploaded

POST = post_uploaded(7, 42, "cat", "Sunset", image="p/7.jpg", text="a dog")


@pytest.mark.parametrize(
    "meant",
    [
        "author_id == 42",
        "author_id in [1, 42] and post_id != 8",
        "'cat' in hashtags",
        "'dog' in text and not video",
        "5 < post_id <= 7",
        "visibility == 'public' or post_id < -1",
        "image and video == None",
        "created_at > '2020-01-01T00:00:00Z'",
        "created_at < '2999-01-01T00:00:00+02:00'",
    ],
)
def test_an_event_is_meant(meant: str) -> None:
    assert parse_where(meant, PostUploaded)(POST)


@pytest.mark.parametrize(
    "other",
    [
        "author_id == '42'",
        "author_id > 'a'",
        "'en' in language",
        "video > 'a'",
        "created_at == 7",
        "not image",
        "post_id in []",
    ],
)
def test_what_cannot_be_compared_or_is_absent_is_not_meant(other: str) -> None:
    assert not parse_where(other, PostUploaded)(POST)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("autor_id == 7", r"no field 'autor_id' \(did you mean author_id\?\); its fields are post_id, author_id"),
        ("post_id == 7 and", "cannot be read"),
        ("__import__('os').system('true')", "is not possible here"),
        ("hashtags.__class__", "is not possible here"),
        ("(lambda: 1)()", "is not possible here"),
        ("[x for x in hashtags]", "is not possible here"),
        ("post_id ** 9999999", "is not possible here"),
        ("f'{post_id}' == '7'", "is not possible here"),
        ("post_id is 7", "is not possible here"),
        ("created_at > 'yesterday'", "is not an instant"),
        ("(" * 500 + "1" + ")" * 500, "cannot be read"),
        ("1 or " * 1000, "at most 2,000"),
        ("", "cannot be read"),
        ("post_id == 7\0", "cannot be read"),
    ],
)
def test_anything_else_is_refused_with_what_is_possible(wrong: str, message: str) -> None:
    with pytest.raises(WrongExpression, match=message):
        parse_where(wrong, PostUploaded)
