"""Whose a session of Django is, without Django and without its secret key."""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.cleanup.sessions import MAX_BYTES, Undecodable, user_of
from tests.clean_up import session_of

BY_DJANGO_5_2 = {
    ".eJyrVopPLC3JiC8tTi2Kz0xRslIyV9JBFktKTM5OzQNJpGQl5qXn6yXn55UUZSbpgZToQWWL9XzzU1JznKBqUQzISCzOAOpOTKIMAg1NTiwq"
    "AZpUMUyAUi0AZnmfCw:1xWYR7:rhIWgHG9se9ckXo1b59oeWnsnEmXZy0FU2D7Z4LuHkY": "7",
    "eyJfYXV0aF91c2VyX2lkIjoiNyJ9:1xWYR7:dY4TFZRnUsYYuZ8ZiRgufd8R7I1hU0oRbh1Uz0oE_Xw": "7",
    "eyJjYXJ0IjpbMSwyXX0:1xWYR7:4sjzdVIs_R3ERwsShtxL_Qge6pRF4tnaJDEuDWX7AZo": None,
    ".eJyrVopPLC3JiC8tTi2Kz0xRslIyTTNINgACXTBhAiIsYFwoMFeqBQDR7A5L"
    ":1xWYR7:cb_jfjtFeQ4kEixPRCWKgGMwtOJLG7gxk2FlFWKzgYA": "5f0c0000-0000-4000-8000-000000000007",
}
"""Made by Django 5.2 itself: compressed, plain, of nobody, of a user with a UUID."""


@pytest.mark.parametrize("session", BY_DJANGO_5_2, ids=lambda session: session[:12])
def test_a_session_that_django_made_tells_its_user(session: str) -> None:
    assert user_of(session) == BY_DJANGO_5_2[session]


@given(st.text() | st.integers(), st.booleans())
def test_any_user_is_found_again(user: str | int, compressed: bool) -> None:
    assert user_of(session_of({"_auth_user_id": user, "cart": [1]}, compressed=compressed)) == str(user)


BOMB = "." + base64.urlsafe_b64encode(zlib.compress(b"0" * (MAX_BYTES + 1))).decode().rstrip("=")


@pytest.mark.parametrize(
    "data",
    [
        "",
        ":",
        "::",
        "e30",
        "a:b:c",
        "gAR9lC4:t:s",
        "é:t:s",
        ".e30:t:s",
        f"{BOMB}:t:s",
        session_of({"_auth_user_id": []}),
    ],
    ids=["empty", "colon", "colons", "old form", "no base64", "pickle", "no ASCII", "not packed", "bomb", "a list"],
)
def test_what_is_no_session_says_so_and_nothing_worse(data: str) -> None:
    with pytest.raises(Undecodable):
        user_of(data)


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode() + ":t:s"))
def test_no_bytes_do_more_than_that(data: str) -> None:
    try:
        user_of(data)
    except Undecodable:
        return
