"""The life of one command, as named steps: decode, claim, perform, record, acknowledge, measure."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec
import structlog
from sqlalchemy.exc import DBAPIError

from schemas.commands import Command
from streams.clock import Clock
from streams.db import is_unstorable, until_available
from streams.dead_letters import DeadLetters
from streams.decoding import Undecodable, decode_command
from streams.ledger import MAX_TAKEOVERS, Claim, Finished, Ledger, LiveUntil, LostClaim
from streams.metrics import Metrics
from streams.recorder import Recorder
from streams.records import Delivery
from streams.runs import Received, Run
from streams.task import Context, Dead, Outcome, Retry, Task
from streams.watermark import Watermark

ContextFactory = Callable[[Command, Claim], Context]

log = structlog.get_logger(__name__)


class Pipeline:
    """Takes deliveries of commands to their end. Nothing is acknowledged before it is recorded."""

    def __init__(
        self,
        tasks: Mapping[str, Task],
        ledger: Ledger,
        recorder: Recorder,
        dead_letters: DeadLetters,
        watermark: Watermark,
        context: ContextFactory,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._tasks = tasks
        self._ledger = ledger
        self._recorder = recorder
        self._dead_letters = dead_letters
        self._watermark = watermark
        self._context = context
        self._metrics = metrics
        self._clock = clock
        self.running: dict[Claim, Run] = {}

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
            await self._dead_letters.publish(accepted[0].delivery.record, f"the ledger cannot store it: {error!r}")
            self._watermark.finish(accepted[0].delivery, "dead")
            return []
        runs = []
        for found, answer in zip(accepted, answers, strict=True):
            match answer:
                case Claim():
                    runs.append(self._started(Run(found, answer, self._clock.now())))
                case Finished():
                    self._watermark.finish(found.delivery, "duplicate")
                case LiveUntil():
                    await self._ask_again(found, answer)
        return runs

    async def run(self, run: Run) -> None:
        """Perform one claimed run, record how it ended and acknowledge it."""
        try:
            outcome = await self._perform(run)
            state = await self._recorder.record(run, outcome)
        except LostClaim:
            self._metrics.lost_claims.inc()
            state = "duplicate"
        finally:
            self.running.pop(run.claim, None)
        self._watermark.finish(run.received.delivery, state)
        self._measure(run, state)

    async def give_back(self, run: Run) -> None:
        """The worker stops before the run has ended: the next delivery need not wait for the lease."""
        await self._ledger.release(run.claim)

    async def renew_leases(self) -> None:
        """Extend the leases of what runs here."""
        if self.running:
            await self._ledger.renew(list(self.running))

    async def _decode(self, delivery: Delivery) -> Received | None:
        try:
            command = decode_command(delivery.record)
        except Undecodable as error:
            await self._dead_letters.publish(delivery.record, str(error))
            self._watermark.finish(delivery, "dead")
            return None
        task = self._tasks.get(command.task)
        if task is None:
            await until_available(lambda: self._recorder.park_unknown(delivery, command), "park")
            self._watermark.finish(delivery, "parked")
            return None
        return Received(delivery, command, task)

    async def _is_in_ledger_time(self, received: Received) -> bool:
        """Whether the ledger has a month for it; a dead letter where it has none."""
        months = await until_available(self._ledger.months, "read the ledger's months")
        if months.first <= received.command.caused_at < months.last:
            return True
        reason = _outside(received.command.caused_at, months.first, months.last)
        await until_available(lambda: self._recorder.refuse(received, reason), "refuse")
        self._watermark.finish(received.delivery, "dead")
        return False

    async def _ask_again(self, received: Received, live: LiveUntil) -> None:
        await until_available(lambda: self._recorder.ask_again(received, live), "ask again")
        self._watermark.finish(received.delivery, "parked")

    def _started(self, run: Run) -> Run:
        self.running[run.claim] = run
        if run.claim.takeovers:
            self._metrics.takeovers.inc()
        order = run.received.order
        waited = (self._clock.now() - order.enqueued_at).total_seconds()
        self._metrics.wait_seconds.labels(order.queue).observe(max(0.0, waited))
        return run

    async def _perform(self, run: Run) -> Outcome:
        """What the task's function says; an exception that it does not know of is a retry."""
        if run.claim.takeovers > MAX_TAKEOVERS:
            return Dead(f"{run.claim.takeovers} workers were lost while they ran it")
        try:
            args = msgspec.convert(run.command.args, run.task.args_type)
        except msgspec.ValidationError as error:
            return Dead(f"wrong arguments for {run.task.name}: {error}")
        try:
            async with asyncio.timeout(run.task.timeout.total_seconds()) as limit:
                return await run.task.handler(args, self._context(run.command, run.claim))
        except LostClaim:
            raise
        except run.task.permanent as error:
            return Dead(repr(error))
        except Exception as error:
            if limit.expired():
                return Retry(f"not done within {run.task.timeout.total_seconds():.0f} s")
            log.exception("task failed", task=run.task.name, run=str(run.command.id))
            return Retry(repr(error))

    def _measure(self, run: Run, state: str) -> None:
        order = run.received.order
        took = (self._clock.now() - run.started_at).total_seconds()
        self._metrics.run_seconds.labels(run.task.name).observe(took)
        log.info(
            "run",
            task=run.task.name,
            run=str(run.command.id),
            queue=order.queue,
            attempt=run.claim.attempt,
            state=state,
            seconds=round(took, 4),
        )


def _outside(caused_at: datetime, first: datetime, last: datetime) -> str:
    return (
        f"caused at {caused_at.isoformat()}, but the ledger holds {first.date()} to {last.date()}: "
        "it could not tell whether this was done before"
    )
