"""Dead runs in a row pause their queue; anything that works ends the row."""

import pytest

from streams.db import engine_for
from streams.metrics import Metrics
from streams.queue_states import DeadStreaks, QueueStates, UnknownQueue, check_queue
from streams.setting_groups import Database


def streaks(limit: int) -> DeadStreaks:
    """With an engine that is never used."""
    engine = engine_for(Database())
    return DeadStreaks(engine, QueueStates(engine, Metrics()), limit)


def noted(counting: DeadStreaks, *states: str, queue: str = "emails") -> list[bool]:
    return [counting.note(queue, state) for state in states]


def test_the_run_that_reaches_the_limit_is_the_one_that_pauses() -> None:
    assert noted(streaks(3), "dead", "dead", "dead", "dead") == [False, False, True, False]


def test_the_count_begins_anew_after_the_limit() -> None:
    assert noted(streaks(2), "dead", "dead", "dead", "dead") == [False, True, False, True]


@pytest.mark.parametrize("state", ["done", "skipped"])
def test_a_run_that_works_ends_the_row(state: str) -> None:
    assert noted(streaks(2), "dead", state, "dead", "dead") == [False, False, False, True]


@pytest.mark.parametrize("state", ["parked", "duplicate"])
def test_a_run_that_has_not_ended_leaves_the_row_as_it_is(state: str) -> None:
    assert noted(streaks(2), "dead", state, "dead") == [False, False, True]


def test_queues_are_counted_apart() -> None:
    counting = streaks(2)

    assert noted(counting, "dead", queue="emails") + noted(counting, "dead", queue="media") == [False, False]


def test_a_limit_of_nought_never_pauses() -> None:
    assert not any(noted(streaks(0), *["dead"] * 500))


def test_an_unknown_queue_is_told_the_nearest_and_all() -> None:
    with pytest.raises(UnknownQueue, match=r"'email' \(did you mean emails\?\); the queues are media, emails"):
        check_queue("email")
