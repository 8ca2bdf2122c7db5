"""Counting against a reference that is written another way: for each event it looks at the log, not at a memory."""

from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.trending.counting import SourceCount
from streams.trending.delta import Body, Delta, merge, pack, unpack
from streams.trending.tags import normal_tag
from tests.recount import recount

BLOCK = 8
NOW = 1_800_000_000_000
MINUTE = 60_000


@dataclass
class Logged:
    """A record as aiokafka gives it."""

    offset: int
    timestamp: int
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    key: bytes | None = None


@st.composite
def logs(draw: st.DrawFn) -> list[Logged]:
    """Logs with repeats, spam, holes, private posts, late and future events, and garbage."""
    offset, log = draw(st.integers(0, 30)), []
    for _ in range(draw(st.integers(1, 40))):
        offset += draw(st.sampled_from([1, 1, 1, 2, 9]))
        age = draw(st.sampled_from([0, 1, 59, 61, 60 * 24 * 9, -4, -7]))
        value = msgspec.json.encode(
            {
                draw(st.sampled_from(["post_id"] * 9 + ["post"])): 1,
                "created_at": "2026-11-22T10:00:00Z",
                "author_id": draw(st.sampled_from([1, 2, "a"])),
                "visibility": draw(st.sampled_from(["public", "public", "private"])),
                "hashtags": draw(st.lists(st.sampled_from(["Cat", "cat", "#dog", "\u202ex", ""]), max_size=3)),
                "version": draw(st.sampled_from([1, 1, 1, 2])),
            }
        )
        identity = draw(st.sampled_from([b"", b"e1", b"e2", b"e3"]))
        source = draw(st.sampled_from([(), (("ce_source", None),), (("ce_source", b"/other"),)]))
        headers = (("ce_id", identity), *source) if identity else ()
        log.append(Logged(offset, NOW - age * MINUTE, draw(st.sampled_from([value] * 9 + [b"{", None])), headers))
    return log


def count(log: list[Logged], cuts: list[int]) -> list[Delta]:
    """Count with a new counter after each cut, as after kills that lost the memory and what was not stored."""
    stored, deltas, refused = log[0].offset, [], frozenset[int]()
    for cut in [*cuts, len(log)]:
        counter = SourceCount("post.uploaded:0", stored, BLOCK, refused)
        unread = [record for record in log[:cut] if record.offset >= counter.read_offset]
        if unread:
            counter.add(unread, NOW)
        if batch := counter.batch():
            deltas.append(batch.delta)
            stored = batch.delta.end
            refused |= {*batch.delta.body.late, *batch.delta.body.future}
    return deltas


@settings(max_examples=300)
@given(logs(), st.lists(st.integers(1, 40), max_size=4))
def test_counts_are_those_of_a_recount_for_any_kills(log: list[Logged], cuts: list[int]) -> None:
    deltas = count(log, sorted(min(cut, len(log)) for cut in cuts))

    counted = merge(deltas).body
    assert counted.panes == recount(log, BLOCK, {*counted.late, *counted.future})


def test_late_and_future_events_are_stored_with_the_delta() -> None:
    post = {"post_id": 1, "author_id": 1, "visibility": "public", "created_at": "2026-01-01T00:00:00Z"}
    value = msgspec.json.encode({**post, "hashtags": ["x"]})
    log = [Logged(0, NOW - 9 * 24 * 60 * MINUTE, value), Logged(1, NOW + 6 * MINUTE, value), Logged(2, NOW, value)]

    (delta,) = count(log, [])

    assert (delta.body.late, delta.body.future) == ([0], [1])
    assert delta.body.panes == {NOW // MINUTE: {"x": 1}}


def test_merging_adds_panes_and_joins_ranges() -> None:
    deltas = [Delta("s", 0, 5, Body({1: {"a": 1}}, late=[2])), Delta("s", 5, 9, Body({1: {"a": 2}, 2: {"b": 1}}))]

    merged = merge(deltas)

    assert merged == Delta("s", 0, 9, Body({1: {"a": 3}, 2: {"b": 1}}, late=[2]))
    assert unpack(pack(merged.body), 1) == merged.body


def test_deltas_that_do_not_meet_are_not_merged() -> None:
    with pytest.raises(ValueError, match="do not meet"):
        merge([Delta("s", 0, 5, Body({})), Delta("s", 6, 9, Body({}))])


@pytest.mark.parametrize(
    ("spelling", "tag"),
    [
        ("#Sunset", "sunset"),
        ("ＣＡＦＥ", "cafe"),
        ("straße", "strasse"),
        ("  cat ", "cat"),
        ("naïve_art", "naïve_art"),
        ("نور", "نور"),
        ("", None),
        ("#", None),
        ("a\x00b", None),
        ("a\u202eb", None),
        ("x" * 101, None),
        ("x" * 100, "x" * 100),
    ],
)
def test_a_tag_is_normalised_or_refused(spelling: str, tag: str | None) -> None:
    assert normal_tag(spelling) == tag
