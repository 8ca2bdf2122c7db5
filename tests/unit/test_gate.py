"""Whose turn it is among queues that have something ready."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import QUEUES
from streams.gate import Gate

PRIORITIES = {queue.name: queue.priority for queue in QUEUES}


def shares(gate: Gate, ready: list[str], turns: int) -> Counter[str]:
    return Counter(gate.next(ready) for _ in range(turns))


def test_with_all_queues_ready_each_starts_in_proportion_to_its_priority() -> None:
    found = shares(Gate(PRIORITIES), list(PRIORITIES), 33 * 10)

    assert found == {queue: priority * 10 for queue, priority in PRIORITIES.items()}


def test_what_an_idle_queue_leaves_goes_to_the_others_in_proportion() -> None:
    found = shares(Gate(PRIORITIES), ["emails", "users", "default"], 16 * 10)

    assert found == {"emails": 80, "users": 70, "default": 10}


def test_a_queue_that_comes_back_does_not_catch_up_on_what_it_did_not_ask_for() -> None:
    gate = Gate(PRIORITIES)
    shares(gate, ["emails", "default"], 900)

    found = shares(gate, ["media", "emails", "default"], 18 * 5)

    assert 45 <= found["media"] <= 45 + 2 * PRIORITIES["media"]
    assert found["default"] >= 4


@given(st.lists(st.sets(st.sampled_from(list(PRIORITIES)), min_size=1), max_size=200))
def test_whatever_was_ready_before_no_queue_starves(before: list[set[str]]) -> None:
    gate = Gate(PRIORITIES)
    for ready in before:
        gate.next(ready)

    turns = 4 * sum(PRIORITIES.values())

    assert set(shares(gate, list(PRIORITIES), turns + sum(PRIORITIES.values()))) == set(PRIORITIES)
