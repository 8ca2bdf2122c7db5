"""What travels: facts, commands, their identities, and the one table of topics."""

import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tailrace_client
from schemas.commands import Command, command_id
from schemas.envelope import Identity, event_headers, header, identify, rfc3339
from schemas.events import FACTS, Fact, PostDeleted, PostTagged, PostUploaded, UserCreated, UserDeleted
from schemas.topics import FACT_KEYS

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
USER = UserCreated(user_id=7, email="ada@example.org", username="ada", created_at=NOON)
POST = PostUploaded(post_id=11, author_id=7, created_at=NOON, visibility="public", image="posts/11.jpg")
TAGS = PostTagged(post_id=11, author_id=7, created_at=NOON, visibility="public", hashtags=["sea", "Boats"])
USER_GONE = UserDeleted(user_id=7, deleted_at=NOON)
POST_GONE = PostDeleted(post_id=11, author_id=7, deleted_at=NOON)
EXAMPLES: dict[str, Fact] = {
    "user.created": USER,
    "post.uploaded": POST,
    "post.tagged": TAGS,
    "user.deleted": USER_GONE,
    "post.deleted": POST_GONE,
}

ids = st.integers(-(2**63), 2**63 - 1) | st.text(min_size=1)
instants = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7))]))
optional_text = st.none() | st.text()
facts = st.one_of(
    st.builds(UserCreated, user_id=ids, created_at=instants, first_name=optional_text, version=st.just(1)),
    st.builds(PostUploaded, post_id=ids, author_id=ids, created_at=instants, version=st.just(1)),
    st.builds(PostTagged, post_id=ids, author_id=ids, created_at=instants, version=st.just(1)),
    st.builds(UserDeleted, user_id=ids, deleted_at=instants, version=st.just(1)),
    st.builds(PostDeleted, post_id=ids, author_id=ids, deleted_at=instants, version=st.just(1)),
)


def _as_json(fact: Fact, **changes: Any) -> bytes:
    return msgspec.json.encode(msgspec.to_builtins(fact) | changes)


@given(facts)
def test_a_fact_survives_its_way_through_json(fact: Fact) -> None:
    assert msgspec.json.decode(msgspec.json.encode(fact), type=type(fact)) == fact


@given(facts)
def test_an_event_has_a_name_of_its_own_for_its_cause(fact: Fact) -> None:
    event_type = next(name for name, schema in FACTS.items() if schema is type(fact))

    assert fact.natural_id.startswith(f"{event_type}:")


@pytest.mark.parametrize("event_type", FACTS)
def test_an_unknown_field_is_accepted(event_type: str) -> None:
    newer = _as_json(EXAMPLES[event_type], added_later={"by": "a newer publisher"})

    assert msgspec.json.decode(newer, type=FACTS[event_type]) == EXAMPLES[event_type]


@pytest.mark.parametrize("event_type", FACTS)
@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_an_unknown_version_is_refused(event_type: str, version: Any) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.version"):
        msgspec.json.decode(_as_json(EXAMPLES[event_type], version=version), type=FACTS[event_type])


@pytest.mark.parametrize("event_type", FACTS)
def test_an_event_without_a_version_is_of_the_first(event_type: str) -> None:
    builtins = msgspec.to_builtins(EXAMPLES[event_type])
    del builtins["version"]

    decoded = msgspec.json.decode(msgspec.json.encode(builtins), type=FACTS[event_type])

    assert decoded == EXAMPLES[event_type]


@pytest.mark.parametrize(
    ("event_type", "field", "value"),
    [
        ("user.created", "user_id", 7.5),
        ("user.created", "user_id", None),
        ("user.created", "email", 7),
        ("user.created", "created_at", "yesterday"),
        ("user.created", "created_at", "2026-03-04T12:00:00"),
        ("post.uploaded", "visibility", "secret"),
        ("post.uploaded", "hashtags", "sea"),
        ("post.uploaded", "image", {"key": "posts/11.jpg"}),
        ("post.tagged", "hashtags", None),
        ("post.tagged", "hashtags", [1]),
        ("user.deleted", "deleted_at", 7),
        ("post.deleted", "author_id", None),
    ],
)
def test_a_wrong_type_is_refused_with_the_place(event_type: str, field: str, value: Any) -> None:
    wrong = _as_json(EXAMPLES[event_type], **{field: value})

    with pytest.raises(msgspec.ValidationError, match=rf"\$\.{field}"):
        msgspec.json.decode(wrong, type=FACTS[event_type])


@pytest.mark.parametrize(
    ("event_type", "field"),
    [
        ("user.created", "email"),
        ("post.uploaded", "author_id"),
        ("post.tagged", "hashtags"),
        ("user.deleted", "deleted_at"),
    ],
)
def test_a_missing_field_is_refused_by_name(event_type: str, field: str) -> None:
    builtins = msgspec.to_builtins(EXAMPLES[event_type])
    del builtins[field]

    with pytest.raises(msgspec.ValidationError, match=f"missing required field `{field}`"):
        msgspec.json.decode(msgspec.json.encode(builtins), type=FACTS[event_type])


@pytest.mark.parametrize(
    ("fact", "natural_id"),
    [
        (USER, "user.created:7"),
        (POST, "post.uploaded:11:posts/11.jpg"),
        (msgspec.structs.replace(POST, image=None), "post.uploaded:11"),
        (msgspec.structs.replace(POST, image=None, video="v.mp4"), "post.uploaded:11:v.mp4"),
        (TAGS, "post.tagged:11:Boats,sea"),
        (USER_GONE, "user.deleted:7"),
        (POST_GONE, "post.deleted:11"),
    ],
)
def test_one_cause_has_one_id_made_of_type_and_key(fact: Fact, natural_id: str) -> None:
    assert fact.natural_id == natural_id


def test_the_order_of_tags_does_not_make_another_event() -> None:
    assert msgspec.structs.replace(TAGS, hashtags=["Boats", "sea"]).natural_id == TAGS.natural_id


@pytest.mark.parametrize("event_type", FACTS)
def test_an_event_goes_by_the_key_of_its_topic(event_type: str) -> None:
    assert EXAMPLES[event_type].key == getattr(EXAMPLES[event_type], FACT_KEYS[event_type])


@pytest.mark.parametrize(
    ("task", "generation", "expected"),
    [
        ("send_welcome_email", 0, "79b9ddc5-9ada-5e2b-958c-d59bb1ca1568"),
        ("send_welcome_email", 1, "4f8536f2-e595-5695-90b2-aaf53d19bfdf"),
        ("process_media_upload", 0, "c0bbb6cb-a7b4-5854-97de-2aba20411329"),
    ],
)
def test_the_id_of_a_command_never_changes_between_versions(task: str, generation: int, expected: str) -> None:
    cause = Identity("/backend", "user.created", "user.created:7")

    assert command_id(cause, task, generation) == uuid.UUID(expected)


@given(st.lists(st.tuples(st.text(), st.text()), min_size=2, max_size=2, unique=True))
def test_other_causes_give_other_commands(causes: list[tuple[str, str]]) -> None:
    first, second = (Identity("/backend", event_type, event_id) for event_type, event_id in causes)

    same = "\x1f".join((first.type, first.id)) == "\x1f".join((second.type, second.id))
    assert (command_id(first, "t") == command_id(second, "t")) == same


def test_a_command_survives_its_way_through_json() -> None:
    cause = Identity("/backend", "user.created", "user.created:7")
    command = Command(
        id=command_id(cause, "send_welcome_email"),
        task="send_welcome_email",
        args={"user_id": 7, "locale": None},
        caused_at=NOON,
        cause=cause,
        attempt=3,
    )

    assert msgspec.json.decode(msgspec.json.encode(command), type=Command) == command


def test_an_event_is_known_by_its_headers() -> None:
    headers = event_headers(Identity("/backend", "user.created", "user.created:7"), NOON, traceparent="00-a-b-01")

    assert identify(headers, "user.created", 3, 42) == Identity("/backend", "user.created", "user.created:7")
    assert header(headers, "ce_specversion") == "1.0"
    assert header(headers, "ce_time") == "2026-03-04T12:00:00Z"
    assert header(headers, "content-type") == "application/json"
    assert header(headers, "traceparent") == "00-a-b-01"


@pytest.mark.parametrize("headers", [[], [("ce_id", b"")], [("ce_id", None)], [("ce_source", b"/elsewhere")]])
def test_an_event_without_an_id_is_known_by_its_place_in_the_log(headers: list[tuple[str, bytes | None]]) -> None:
    identity = identify(headers, "user.created", 3, 42)

    assert identity == Identity("kafka:user.created", "user.created", "3:42")


def test_an_event_without_a_source_is_the_backends() -> None:
    assert identify([("ce_id", b"x")], "user.created", 0, 0) == Identity("/backend", "user.created", "x")


@given(st.binary())
def test_no_bytes_in_a_header_break_the_identity(value: bytes) -> None:
    identity = identify([("ce_id", value), ("ce_source", value)], "post.tagged", 0, 1)

    assert identity.type == "post.tagged"
    assert identity.id


def test_instants_are_written_in_utc() -> None:
    there = datetime(2026, 3, 4, 5, 0, 0, 250, tzinfo=timezone(timedelta(hours=-7)))

    assert rfc3339(there) == "2026-03-04T12:00:00.000250Z"


@pytest.mark.parametrize("event_type", FACTS)
def test_the_client_has_each_fact(event_type: str) -> None:
    name = FACTS[event_type].__name__

    assert name in tailrace_client.__all__, f"clients/python/tailrace_client/__init__.py: import {name} and name it"
    assert getattr(tailrace_client, name) is FACTS[event_type]
