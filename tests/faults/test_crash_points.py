"""A process is lost, frozen or cut off between any two steps of pipeline, relay, tick and sweep: nothing is lost and
nothing is done twice. Real ledger, real PostgreSQL; the broker is a model, and time passes when the test says so.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, event, note
from hypothesis import settings as profile
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from streams.devstack.stack import Stack
from tests.broker_model import PARTITIONS
from tests.crash_points import CAN_STALL, Fate, Point, fates_at
from tests.crash_stage import Stage, stage_on
from tests.crash_tasks import TASKS
from tests.crash_world import World

pytestmark = pytest.mark.faults

EXAMPLES, STEPS = 60, 30

Doom = tuple[Point, Fate] | None


@pytest.fixture(scope="module")
def stage(stack: Stack, migrated_template: str) -> Iterator[Stage]:
    with stage_on(stack.database_url, migrated_template) as stage:
        yield stage


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every point, and every fate that leads on at once: a crash, and where time allows a cut."""
    if "fate" in metafunc.fixturenames:
        full = metafunc.config.getoption("--full", default=False)
        fates = (Fate.CRASH, Fate.CUT) if full else (Fate.CRASH,)
        cases = [(point, fate) for point in Point for fate in fates_at(point) if fate in fates]
        metafunc.parametrize(("point", "fate"), cases, ids=lambda value: value.name.lower())


async def everything_happens(world: World) -> None:
    """Passes every point there is."""
    for number, task in enumerate(TASKS):
        world.publish(task, number, partition=0)
        world.publish(task, number, partition=1)
    world.publish("one_at_a_time", 10, partition=0)
    world.publish("one_at_a_time", 14, partition=1)
    world.publish("take_note", 11, partition=0)
    world.publish_garbage(partition=0)
    await world.submit("leave_effect", 12)
    await world.work(0, most=20, starts=0)
    await world.work(1, most=20, starts=0)
    await world.check()
    await world.give_back(0)
    await world.work(0, most=20, starts=20)
    await world.relay()
    world.publish("leave_effect", 13, partition=0)
    world.supersede(0)  # only where it is frozen by now: it must not be killed
    await world.work(0, most=20, starts=0)
    world.supersede(0)
    await world.kill(0)
    await world.advance(timedelta(minutes=71))
    await world.tick()
    await world.sweep()
    await world.relay()
    await world.work(1, most=20, starts=20)


def test_a_process_may_end_between_any_two_steps(stage: Stage, point: Point, fate: Fate) -> None:
    world = stage.new_world()
    world.fates.lay_out(point, fate)

    stage.run(everything_happens(world))
    stage.run(world.check())
    stage.run(world.come_to_rest())
    stage.run(world.end())

    assert world.fates.met == [(point, fate)]


@pytest.mark.parametrize("point", CAN_STALL, ids=lambda point: point.name.lower())
def test_a_process_may_wake_after_others_have_done_its_work(stage: Stage, point: Point) -> None:
    world = stage.new_world()
    world.fates.lay_out(point, Fate.STALL)

    stage.run(everything_happens(world))
    for partition in range(PARTITIONS):
        world.supersede(partition)
    still_locked = point is Point.TICK_CLAIMED
    stage.run(world.come_to_rest(wake=still_locked))
    stage.run(world.resume_all())
    stage.run(world.check())
    stage.run(world.come_to_rest())
    stage.run(world.end())

    assert world.fates.met == [(point, Fate.STALL)]


def dooms(*parts: str) -> st.SearchStrategy[Doom]:
    """Nothing, or a fate at a point of these parts."""
    known = [(point, fate) for point in Point if point.part in parts for fate in fates_at(point)]
    return st.sampled_from([None, *known])


TASK = st.sampled_from(list(TASKS))
NUMBER = st.integers(0, 3)
PARTITION = st.integers(0, PARTITIONS - 1)
PASSING = st.sampled_from([timedelta(seconds=1), timedelta(seconds=20), timedelta(seconds=70), timedelta(minutes=31)])


class Histories(RuleBasedStateMachine):
    """Whatever may happen to a few workers, relays, timers and sweepers, in any order."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.world = stage.new_world()
        self.failed = False

    def happens(self, step: Any, doom: Doom = None) -> None:
        """The step, with this fate for whoever comes to its point first, be it in a later step."""
        met = len(self.world.fates.met)
        if doom:
            self.world.fates.lay_out(*doom)
        self.stage.run(step)
        for point, fate in self.world.fates.met[met:]:
            note(f"{fate.name}: {point.value}")
            event(f"{fate.name} at {point.name}")

    @initialize(partition=PARTITION)
    def there_is_work_of_every_kind(self, partition: int) -> None:
        for task in TASKS:
            self.world.publish(task, 1, partition)

    @rule(task=TASK, number=NUMBER, partition=PARTITION)
    def a_command_is_published(self, task: str, number: int, partition: int) -> None:
        self.world.publish(task, number, partition)

    @rule(task=TASK, number=NUMBER)
    def a_command_is_published_twice(self, task: str, number: int) -> None:
        for partition in range(PARTITIONS):
            self.world.publish(task, number, partition)

    @rule()
    def many_with_one_concurrency_key_are_published(self) -> None:
        for number in range(4):
            self.world.publish("one_at_a_time", number, number % PARTITIONS)

    @rule(partition=PARTITION)
    def garbage_is_published(self, partition: int) -> None:
        self.world.publish_garbage(partition)

    @rule(task=TASK, number=NUMBER, doom=dooms("submit"))
    def a_caller_submits(self, task: str, number: int, doom: Doom) -> None:
        self.happens(self.world.submit(task, number), doom)

    @rule(partition=PARTITION, most=st.integers(1, 5), starts=st.sampled_from([5, 1, 0]), doom=dooms("pipeline"))
    def a_worker_works(self, partition: int, most: int, starts: int, doom: Doom) -> None:
        self.happens(self.world.work(partition, most, starts), doom)

    @rule(partition=PARTITION, doom=dooms("pipeline"))
    def a_worker_gives_back_what_it_has_not_started(self, partition: int, doom: Doom) -> None:
        self.happens(self.world.give_back(partition), doom)

    @rule(partition=PARTITION, doom=dooms("pipeline"))
    def a_worker_stops_in_order(self, partition: int, doom: Doom) -> None:
        self.happens(self.world.leave(partition), doom)

    @rule(partition=PARTITION)
    def a_worker_renews_its_leases(self, partition: int) -> None:
        self.happens(self.world.renew(partition))

    @rule(partition=PARTITION)
    def a_worker_is_killed(self, partition: int) -> None:
        self.happens(self.world.kill(partition))

    @precondition(lambda self: self.world.is_anyone_frozen())
    @rule(partition=PARTITION, silent=st.sampled_from([20, 6]), starts=st.sampled_from([5, 0]), doom=dooms("pipeline"))
    def a_frozen_worker_is_taken_for_dead(self, partition: int, silent: int, starts: int, doom: Doom) -> None:
        """Its leases are over or not; another gets its partition and begins its work."""
        self.world.supersede(partition)
        self.happens(self.world.advance(timedelta(seconds=silent)))
        self.happens(self.world.work(partition, 10, starts), doom)

    @precondition(lambda self: self.world.is_anyone_frozen())
    @rule(doom=dooms("pipeline", "relay", "tick", "sweep"))
    def whatever_is_frozen_goes_on(self, doom: Doom) -> None:
        self.happens(self.world.resume_all(), doom)

    @rule(doom=dooms("relay"))
    def a_relay_publishes(self, doom: Doom) -> None:
        self.happens(self.world.relay(), doom)

    @rule(doom=dooms("tick"))
    def a_timer_ticks(self, doom: Doom) -> None:
        self.happens(self.world.tick(), doom)

    @rule(doom=dooms("sweep"))
    def a_sweeper_sweeps(self, doom: Doom) -> None:
        self.happens(self.world.sweep(), doom)

    @rule()
    def somebody_tries_the_dead_again(self) -> None:
        for run in self.stage.run(self.world.checks.dead()):
            self.stage.run(self.world.requeue(run))

    @rule(by=PASSING)
    def time_passes(self, by: timedelta) -> None:
        self.happens(self.world.advance(by))

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        self.stage.run(self.world.check())

    def teardown(self) -> None:
        """Also after a failure, which says more than what follows from it."""
        try:
            self.stage.run(self.world.come_to_rest())
        finally:
            self.stage.run(self.world.end())


def test_nothing_is_lost_or_doubled_whatever_happens_when(stage: Stage, pytestconfig: pytest.Config) -> None:
    full = pytestconfig.getoption("--full", default=False)
    often = profile(
        max_examples=EXAMPLES * (10 if full else 1),
        stateful_step_count=STEPS,
        derandomize=not full,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )

    class HistoriesHere(Histories):
        def __init__(self) -> None:
            super().__init__(stage)

    run_state_machine_as_test(HistoriesHere, settings=often)
