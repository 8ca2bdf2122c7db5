"""A schedule: which task runs when, and what is done about instants that were missed or come too early."""

import random
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from schemas.commands import Command, command_id
from schemas.envelope import Identity, rfc3339
from schemas.topics import QUEUE_BY_NAME
from streams.durations import format_duration
from streams.schedules.timing import At, Cron, Every, Timing, TimingError, find_zone
from streams.task import Task
from streams.task_arguments import UnknownTask, WrongArguments, check_arguments, find_task

Misfire = Literal["run_once", "skip", "run_all"]
Overlap = Literal["skip", "allow"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
SHORTEST = timedelta(seconds=1)
LONGEST = timedelta(days=3660)
MOST_JITTER = timedelta(days=1)


class WrongSchedule(ValueError):
    """It cannot be kept; the message says what to change."""


REFUSALS = (WrongSchedule, TimingError, UnknownTask, WrongArguments)
"""What a check of a schedule can raise."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A row of ``tailrace.schedules``. Exactly one of ``cron`` (by the clocks of ``zone``), ``every`` (counted from
    ``starts_at``) and ``at`` is given; ``queue`` None is the task's own. Nothing is due before ``starts_at``.
    """

    name: str
    task: str
    starts_at: datetime
    args: dict[str, Any] = field(default_factory=dict)
    queue: str | None = None
    cron: str | None = None
    zone: str = "UTC"
    every: timedelta | None = None
    at: datetime | None = None
    enabled: bool = True
    misfire: Misfire = "run_once"
    overlap: Overlap = "skip"
    jitter: timedelta = timedelta()
    next_at: datetime | None = None
    last_at: datetime | None = None
    last_run: uuid.UUID | None = None
    error: str | None = None
    edited: bool = False

    def timing(self) -> Timing:
        """Its instants, without regard to ``starts_at``. Raises ``TimingError``."""
        if self.cron is not None:
            return Cron(self.cron, self.zone)
        if self.every is not None:
            return Every(self.every, self.starts_at)
        if self.at is not None:
            return At(self.at)
        raise TimingError(f"schedule {self.name!r} says no time; give one of cron, every and at")

    def first_after(self, instant: datetime) -> datetime | None:
        """The next instant that is due, or None where there is none any more."""
        return next(self.timing().after(max(instant, self.starts_at - timedelta(microseconds=1))), None)

    def identity(self, instant: datetime) -> Identity:
        """The cause of the run of this instant, the same whoever orders it: so it runs at most once."""
        return Identity(f"schedule:{self.name}", "tick", rfc3339(instant))

    def command(self, instant: datetime, args: dict[str, Any]) -> Command:
        """The order that the instant gives."""
        cause = self.identity(instant)
        return Command(
            id=command_id(cause, self.task), task=self.task, args=args, caused_at=instant.astimezone(UTC), cause=cause
        )

    def delayed(self, run_id: uuid.UUID, instant: datetime) -> datetime:
        """When the run is to start: up to ``jitter`` later, by its id, so the same whoever asks."""
        share = random.Random(run_id.int).random()  # noqa: S311 - it spreads load, and guards nothing
        return instant + self.jitter * share


def check_schedule(schedule: Schedule, tasks: Iterable[Task]) -> dict[str, Any]:
    """The arguments of its runs. Raises one of ``REFUSALS`` where it could not run as it is."""
    if not NAME.fullmatch(schedule.name):
        raise WrongSchedule(
            f"{schedule.name!r} is no name for a schedule; write letters, digits, '_', '.' and '-', 100 at most"
        )
    if sum(given is not None for given in (schedule.cron, schedule.every, schedule.at)) != 1:
        raise WrongSchedule("say when: give exactly one of cron, every and at")
    task = find_task(tasks, schedule.task)
    _check_queue(schedule)
    _check_spacing(schedule)
    _check_policies(schedule)
    find_zone(schedule.zone)
    schedule.timing()
    return check_arguments(task, schedule.args)


def _check_queue(schedule: Schedule) -> None:
    if schedule.queue is not None and schedule.queue not in QUEUE_BY_NAME:
        raise WrongSchedule(f"there is no queue {schedule.queue!r}; the queues are {', '.join(QUEUE_BY_NAME)}")


def _check_spacing(schedule: Schedule) -> None:
    if schedule.every is not None and schedule.every < SHORTEST:
        raise WrongSchedule(f"every {format_duration(schedule.every)} is too often; write 1s or more")
    if schedule.every is not None and schedule.every > LONGEST:
        raise WrongSchedule(f"every {format_duration(schedule.every)} is too seldom; write 3660d or less, or --at")
    if not timedelta() <= schedule.jitter <= MOST_JITTER:
        raise WrongSchedule("a jitter is between 0s, which is none, and 1d")
    if schedule.every is not None and schedule.jitter >= schedule.every:
        raise WrongSchedule(
            f"a jitter of {format_duration(schedule.jitter)} mixes up instants that are "
            f"{format_duration(schedule.every)} apart; write less"
        )


def _check_policies(schedule: Schedule) -> None:
    if schedule.misfire == "run_all" and schedule.overlap == "skip":
        raise WrongSchedule(
            "misfire run_all makes up for every missed instant at once, and overlap skip would leave out all but "
            "the first: choose overlap allow, or misfire run_once"
        )
