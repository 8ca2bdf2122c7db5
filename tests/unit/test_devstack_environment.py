"""What `up` takes from the environment that it is started in, and what it never does."""

import re

import pytest

from streams.devstack.environment import DROPPED, for_programs, places
from streams.settings import FIELDS

OURS = places("127.0.0.1:19092", "postgresql://127.0.0.1:15432/tailrace", "smtp://127.0.0.1:11025", "/data/media")
BY_UP = {"TAILRACE_HTTP__PORT", "TAILRACE_WORKER__PORT"}
A_PLACE = re.compile(
    r"URL|SERVERS|HOST|PORT$|ROOT|FILE|PREFIX|SCHEMA|PROTOCOL|USERNAME|PASSWORD|__DATA|__NAME"
    r"|STORAGE|SCRATCH|BACKEND__(KEYS|TABLES|COLUMNS)"
)


def test_every_setting_that_says_where_things_are_is_the_stacks() -> None:
    places_of_all = {name for name in FIELDS if A_PLACE.search(name)}

    assert places_of_all - set(OURS) - set(DROPPED) - BY_UP == set(), "say in environment.py what `up` does with it"
    assert {*OURS, *DROPPED} - set(FIELDS) == set()


def test_nothing_of_another_deployment_comes_through() -> None:
    production = dict.fromkeys((*OURS, *DROPPED), "production")

    environment, aside = for_programs({**production, "PATH": "/bin"}, OURS)

    assert "production" not in environment.values()
    assert environment == {**OURS, "PATH": "/bin"}
    assert aside == sorted(production)


@pytest.mark.parametrize("name", ["TAILRACE_LOG__LEVEL", "TAILRACE_WORKER__LEASE", "TAILRACE_SMTP__SENDER"])
def test_a_setting_that_says_how_is_the_callers(name: str) -> None:
    environment, aside = for_programs({name: "own"}, OURS)

    assert environment[name] == "own"
    assert aside == []


def test_a_setting_that_says_the_same_is_not_worth_a_word() -> None:
    assert for_programs(OURS, OURS) == (OURS, [])
