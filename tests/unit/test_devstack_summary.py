"""When a bounded run was no success, and that it says why."""

from dataclasses import replace

import pytest

from streams.devstack.drain import Left
from streams.devstack.sample.traffic import Emitted
from streams.devstack.summary import Summary

NOTHING = Left(unsent=0, set_aside=0, open_runs=0, users_without_run=0, pictures_without_run=0, uncounted=0)
SUCCESS = Summary(
    emitted=Emitted(users=[1], posts=[2], pictured=[2]),
    left=NOTHING,
    runs=(("send_welcome_email", "done", 1), ("process_media_upload", "parked", 1)),
    mails=1,
    renditions=4,
    tags=(("sea", 1),),
    firsts={"send_welcome_email": 9.0},
    with_traffic=True,
)


def _last_lines(summary: Summary) -> list[str]:
    return [line for line in summary.lines() if line.startswith("FAILED")]


def test_a_run_that_did_everything_is_a_success_also_with_a_retry_to_come() -> None:
    assert SUCCESS.failures() == []
    assert _last_lines(SUCCESS) == []


@pytest.mark.parametrize(
    ("summary", "failure"),
    [
        (replace(SUCCESS, mails=0), "no mails at all"),
        (replace(SUCCESS, renditions=0), "no renditions at all"),
        (replace(SUCCESS, tags=()), "no trends at all"),
        (replace(SUCCESS, left=replace(NOTHING, unsent=2, uncounted=1)), "left undone: 2 unsent, 1 uncounted"),
        (replace(SUCCESS, left=replace(NOTHING, set_aside=1)), "left undone: 1 set aside"),
        (replace(SUCCESS, left=replace(NOTHING, users_without_run=1)), "left undone: 1 users without run"),
    ],
)
def test_a_part_that_did_nothing_and_an_event_left_undone_are_failures(summary: Summary, failure: str) -> None:
    assert summary.failures() == [failure]
    assert _last_lines(summary) == [f"FAILED       {failure}"]


def test_without_traffic_there_is_nothing_to_miss() -> None:
    quiet = replace(SUCCESS, mails=0, renditions=0, tags=(), with_traffic=False)

    assert quiet.failures() == []
