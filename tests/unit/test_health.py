"""Health: named checks, and progress that must go on."""

from datetime import timedelta

import pytest

from streams.health import Health
from tests.clocks import Seconds


@pytest.fixture
def clock() -> Seconds:
    return Seconds(100.0)


@pytest.fixture
def health(clock: Seconds) -> Health:
    return Health(now=clock)


def test_a_process_without_checks_has_no_problems(health: Health) -> None:
    assert health.problems() == {}


def test_only_checks_that_find_something_are_problems(health: Health) -> None:
    health.add("database", lambda: "cannot connect")
    health.add("view", lambda: None)

    assert health.problems() == {"database": "cannot connect"}


def test_a_component_that_has_never_beaten_is_not_ready(health: Health) -> None:
    health.progress("counter")

    assert health.problems() == {"counter": "has not started yet"}


def test_a_component_that_beats_is_well_until_the_limit(health: Health, clock: Seconds) -> None:
    progress = health.progress("counter", within=timedelta(seconds=15))

    progress.beat()
    clock.seconds += 15

    assert health.problems() == {}


def test_silence_beyond_the_limit_is_a_problem_that_says_how_long(health: Health, clock: Seconds) -> None:
    progress = health.progress("counter", within=timedelta(seconds=15))

    progress.beat()
    clock.seconds += 17

    assert health.problems() == {"counter": "no progress for 17 s"}


def test_a_beat_after_a_silence_makes_it_well_again(health: Health, clock: Seconds) -> None:
    progress = health.progress("counter")
    progress.beat()
    clock.seconds += 60

    progress.beat()

    assert health.problems() == {}


def test_two_components_of_one_name_are_refused(health: Health) -> None:
    health.add("database", lambda: None)

    with pytest.raises(ValueError, match="give each component its own name"):
        health.progress("database")
