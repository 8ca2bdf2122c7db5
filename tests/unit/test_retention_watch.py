"""Work that waits longer than its topic may keep it."""

from datetime import UTC, datetime, timedelta

from schemas.topics import FACT_RETENTION
from streams.clock import Clock
from streams.metrics import Metrics
from streams.records import Record
from streams.retention_watch import retention_problem
from streams.watermark import Watermark

NOW = datetime(2026, 3, 4, tzinfo=UTC)


class SetClock(Clock):
    """Says what the test sets."""

    seconds = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


def taken(clock: Clock, topic: str, age: timedelta) -> Watermark:
    """A worker that has taken one record of this age and not dealt with it."""
    watermark = Watermark(1000, Metrics(), lambda _: None, lambda _: None, clock)
    watermark.take(Record(topic, 0, 7, None, b"{}", [], int((NOW - age).timestamp() * 1000)), lambda: None)
    return watermark


def test_work_older_than_half_of_its_retention_is_a_problem_when_it_waits() -> None:
    clock = SetClock()
    problem = retention_problem(taken(clock, "user.created", FACT_RETENTION * 0.6), clock)

    at_once = problem()
    clock.seconds = 120

    assert at_once is None
    assert "user.created:0 waits at offset 7" in (problem() or "")


def test_younger_work_and_what_is_kept_for_ever_may_wait() -> None:
    clock = SetClock()
    young = retention_problem(taken(clock, "user.created", FACT_RETENTION * 0.4), clock)
    command = retention_problem(taken(clock, "queue.emails", FACT_RETENTION * 3), clock)

    clock.seconds = 120

    assert young() is None
    assert command() is None
