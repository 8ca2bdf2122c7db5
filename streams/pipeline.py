"""The life of one command, as named steps: decode, claim, perform, record, acknowledge, measure."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter, Histogram
from sqlalchemy.exc import DBAPIError

from schemas.commands import Command
from schemas.topics import QUEUE_BY_TOPIC
from streams.claims import Answer, Busy, Claim, Finished, LiveUntil, LostClaim
from streams.clock import Clock
from streams.db import is_unstorable, until_available
from streams.dead_letter_desk import DeadLetterDesk
from streams.decoding import Undecodable, decode_command
from streams.ledger import Ledger
from streams.metrics import Metrics
from streams.performing import perform
from streams.recorder import Recorder, leaves_rows
from streams.records import Delivery
from streams.runs import Received, Run
from streams.task import Context, Task
from streams.watermark import Watermark

Ended = Callable[[str, str], Awaitable[None]]
ContextFactory = Callable[[Command, Claim], Context]

LONG_RUN = timedelta(seconds=10)
"""A run that takes longer holds no offset back: from then on ledger and sweeper answer for it."""

log = structlog.get_logger(__name__)


class Pipeline:
    """Takes deliveries of commands to their end. Nothing is acknowledged before it is recorded."""

    def __init__(
        self,
        tasks: Mapping[str, Task],
        ledger: Ledger,
        recorder: Recorder,
        desk: DeadLetterDesk,
        watermark: Watermark,
        context: ContextFactory,
        metrics: Metrics,
        clock: Clock,
        ended: Ended,
    ) -> None:
        """``ended`` is told queue and state of each command that has come to an end."""
        self._tasks = tasks
        self._ledger = ledger
        self._recorder = recorder
        self._desk = desk
        self._watermark = watermark
        self._context = context
        self._metrics = metrics
        self._clock = clock
        self._ended = ended
        self._log = log.bind()
        self._watches: dict[str, Observed] = {}
        self.held: set[Run] = set()
        """What this worker has claimed and not recorded yet, started or not."""

    async def admit(self, deliveries: Sequence[Delivery]) -> list[Run]:
        """Decode and claim; the runs that are ours to perform. The others are dealt with here."""
        received = [found for delivery in deliveries if (found := await self._decode(delivery))]
        accepted = [found for found in received if await self._is_in_ledger_time(found)]
        return await self._claim(accepted) if accepted else []

    async def _claim(self, accepted: Sequence[Received]) -> list[Run]:
        """The runs among these that are ours. One that the ledger cannot even store is found by claiming each
        by itself, and is a dead letter: it must not hold back those behind it.
        """
        orders = [found.order for found in accepted]
        try:
            answers = await until_available(lambda: self._ledger.claim(orders), "claim")
        except DBAPIError as error:
            if not is_unstorable(error):
                raise
            if len(accepted) > 1:
                return [run for found in accepted for run in await self._claim([found])]
            log.exception("command cannot be claimed", run=str(orders[0].command.id))
            await self._refuse(accepted[0].delivery, f"the ledger cannot store it: {error!r}", error)
            return []
        return await self._sorted(accepted, answers)

    async def _sorted(self, accepted: Sequence[Received], answers: Sequence[Answer]) -> list[Run]:
        """The runs; what somebody else runs, or whose key is busy, is asked for again later."""
        runs, live, busy = [], [], []
        for found, answer in zip(accepted, answers, strict=True):
            match answer:
                case Claim():
                    runs.append(self._hold(Run(found, answer)))
                case Finished():
                    self._watermark.finish(found.delivery, "duplicate")
                case LiveUntil():
                    live.append((found, answer))
                case Busy():
                    busy.append(found)
        if live:
            await until_available(lambda: self._recorder.ask_again(live), "ask again")
        if busy:
            await until_available(lambda: self._recorder.park_busy(busy), "park")
        for found in [*(found for found, _ in live), *busy]:
            self._watermark.finish(found.delivery, "parked")
        return runs

    async def run(self, run: Run, performed: Callable[[Run], None] = lambda _: None) -> None:
        """Perform one claimed run, record how it ended and acknowledge it.

        ``performed`` is told of a run that has only to be recorded, together with others, and needs its place
        no more.
        """
        self._start(run)
        try:
            outcome = await perform(run, self._context(run.command, run.claim))
            if not leaves_rows(outcome):
                performed(run)
            state = await self._recorder.record(run, outcome)
        except LostClaim:
            self._metrics.lost_claims.inc()
            state = "duplicate"
        finally:
            self.held.discard(run)
        self._watermark.finish(run.received.delivery, state)
        self._measure(run, state)
        await self._ended(run.received.order.queue, state)

    async def give_back(self, runs: Sequence[Run]) -> None:
        """They will not end here: the worker stops, their partition is gone, or their queue is paused."""
        for run in runs:
            self.held.discard(run)
        await until_available(lambda: self._recorder.give_back(runs), "give back")

    def leave_to_ledger(self, run: Run) -> None:
        """Its row is there: whatever becomes of the run, the sweeper finds it when its lease has run out."""
        run.left_to_ledger = True
        self._watermark.finish(run.received.delivery, "parked")

    async def renew_leases(self) -> None:
        """Extend the leases of what is claimed here, and acknowledge the offsets of what takes long."""
        now = self._clock.now()
        for run in self.held:
            if run.started_at and now - run.started_at > LONG_RUN and not run.left_to_ledger:
                self.leave_to_ledger(run)
        if self.held:
            await self._ledger.renew([run.claim for run in self.held])

    async def _decode(self, delivery: Delivery) -> Received | None:
        try:
            command = decode_command(delivery.record)
        except Undecodable as error:
            await self._refuse(delivery, str(error), error)
            return None
        task = self._tasks.get(command.task)
        if task is None:
            await until_available(lambda: self._recorder.park_unknown(delivery, command), "park")
            self._watermark.finish(delivery, "parked")
            return None
        try:
            return Received.of(delivery, command, task)
        except Exception as error:  # noqa: BLE001 - the concurrency key is made by the task's own function
            await self._refuse(delivery, f"no concurrency key can be made of its arguments: {error!r}", error)
            return None

    async def _refuse(self, delivery: Delivery, reason: str, error: BaseException) -> None:
        """A dead letter of what never gets to the ledger."""
        self._desk.take(delivery, reason, error)
        await self._ended(QUEUE_BY_TOPIC[delivery.record.topic].name, "dead")

    async def _is_in_ledger_time(self, received: Received) -> bool:
        """Whether the ledger has a month for it; a dead letter where it has none."""
        months = await until_available(self._ledger.months, "read the ledger's months")
        if months.first <= received.command.caused_at < months.last:
            return True
        reason = _outside(received.command.caused_at, months.first, months.last)
        await until_available(lambda: self._recorder.refuse(received, reason), "refuse")
        self._watermark.finish(received.delivery, "dead")
        await self._ended(received.order.queue, "dead")
        return False

    def _hold(self, run: Run) -> Run:
        self.held.add(run)
        if run.claim.takeovers:
            self._metrics.takeovers.inc()
        return run

    def _start(self, run: Run) -> None:
        run.started_at = self._clock.now()
        order = run.received.order
        observed = self._observed(run)
        observed.started.inc()
        observed.wait.observe(max(0.0, (run.started_at - order.enqueued_at).total_seconds()))

    def _measure(self, run: Run, state: str) -> None:
        assert run.started_at is not None
        took = (self._clock.now() - run.started_at).total_seconds()
        self._observed(run).run.observe(took)
        if not self._log.is_enabled_for(logging.INFO):
            return
        self._log.info(
            "run",
            task=run.task.name,
            run=str(run.command.id),
            queue=run.received.order.queue,
            attempt=run.claim.attempt,
            state=state,
            seconds=round(took, 4),
        )

    def _observed(self, run: Run) -> "Observed":
        found = self._watches.get(run.task.name)
        if found is None or found.queue != run.received.order.queue:
            queue = run.received.order.queue
            found = self._watches[run.task.name] = Observed(
                queue,
                self._metrics.started.labels(queue),
                self._metrics.wait_seconds.labels(queue),
                self._metrics.run_seconds.labels(run.task.name),
            )
        return found


@dataclass(frozen=True)
class Observed:
    """The metrics of one task. Their children are looked up once: that costs more than counting."""

    queue: str
    started: Counter
    wait: Histogram
    run: Histogram


def _outside(caused_at: datetime, first: datetime, last: datetime) -> str:
    return (
        f"caused at {caused_at.isoformat()}, but the ledger holds {first.date()} to {last.date()}: "
        "it could not tell whether this was done before"
    )
