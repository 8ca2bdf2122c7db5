"""Record how a run ended: effect, ledger row and what follows from it commit together, or not at all."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.commands import Command
from streams.cancellation import is_cancelled
from streams.claiming import park
from streams.claims import Ending, LiveUntil, LostClaim
from streams.clock import Clock
from streams.database_errors import in_words
from streams.db import is_passing, until_available
from streams.dead_letters import DeadLetters
from streams.effects import OwnEffect
from streams.ledger import Ledger
from streams.outbox import OutboxRow, put
from streams.outcome_batches import OutcomeBatches
from streams.records import Delivery
from streams.runs import Received, Run, copy_of
from streams.task import Dead, Done, Outcome, Retry, Skip, TryAgain

UNKNOWN_TASK_DELAY = timedelta(seconds=60)
SHORTEST_BUSY, LONGEST_BUSY = timedelta(seconds=1), timedelta(seconds=30)
"""Between these, what finds its concurrency key taken waits by how long it has waited: many for one key are no rush."""

MAX_REASON = 4000
UNSTORABLE = Dead("its ending could not be stored; the worker's log says why")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Recorder:
    """Writes endings to the ledger, and retries, copies and dead letters to the outbox."""

    engine: AsyncEngine
    ledger: Ledger
    dead_letters: DeadLetters
    clock: Clock
    rng: random.Random
    batches: OutcomeBatches

    async def record(self, run: Run, outcome: Outcome) -> str:
        """The state in which the run ended: done, skipped, parked, dead, or duplicate where it was no longer
        ours. Waits while the database is away.
        """
        while True:
            try:
                return await self._write(run, outcome)
            except LostClaim:
                return await until_available(lambda: self._ended_before(run), "read the run again")
            except TryAgain as error:
                outcome = Retry(str(error), after=error.after, error=error)
            except Exception as error:
                if is_cancelled():
                    raise asyncio.CancelledError from error
                log.exception("ending could not be stored", task=run.task.name, run=str(run.command.id))
                if outcome == UNSTORABLE:
                    raise
                failed = Retry(f"its effect or result could not be stored: {in_words(error)}", error=error)
                outcome = UNSTORABLE if isinstance(outcome, Retry | Dead) else failed

    async def _write(self, run: Run, outcome: Outcome) -> str:
        """By itself where it has rows of its own to write, else together with the endings of other runs."""
        if not leaves_rows(outcome):
            ending = self._ending(run, outcome)
            await self.batches.record(run.claim, ending)
            return ending.state
        effect = outcome.effect if isinstance(outcome, Done | Skip) else None
        own = OwnEffect(effect) if effect else None
        return await until_available(partial(self._commit, run, outcome, own), f"record {run.task.name}")

    async def _commit(self, run: Run, outcome: Outcome, own: OwnEffect | None) -> str:
        async with self.engine.begin() as connection:
            added = await own.write(connection) if own else None
            ending = self._ending(run, outcome)
            if added:
                ending = replace(ending, outcome={**(ending.outcome or {}), **added})
            await self.ledger.record(connection, run.claim, ending)
            await self._follow_up(connection, run, ending, getattr(outcome, "error", None))
        return ending.state

    def _ending(self, run: Run, outcome: Outcome) -> Ending:
        match outcome:
            case Done(result):
                return Ending("done", outcome=result)
            case Skip(reason):
                return Ending("skipped", outcome={"reason": storable(reason)})
            case Dead(reason=reason):
                return Ending("dead", error=storable(reason))
            case Retry(reason=reason, after=after):
                return self._parked_or_dead(run, storable(reason), after)

    def _parked_or_dead(self, run: Run, reason: str, after: timedelta | None) -> Ending:
        attempt, policy = run.claim.attempt, run.task.retry
        tried = attempt - run.claim.first_attempt + 1
        if tried >= policy.max_attempts:
            return Ending("dead", error=f"gave up after {tried} attempts: {reason}")
        due = self.clock.now() + (after or policy.delay(tried, self.rng))
        return Ending("parked", error=reason, next_attempt=attempt + 1, scheduled_for=due)

    async def _follow_up(
        self, connection: AsyncConnection, run: Run, ending: Ending, error: BaseException | None
    ) -> None:
        """The outbox row of a retry or a dead letter."""
        delivery = run.received.delivery
        if ending.state == "parked" and ending.next_attempt and ending.scheduled_for:
            command = msgspec.structs.replace(run.command, attempt=ending.next_attempt)
            await self._put_at(connection, delivery, command, "retry", LiveUntil(ending.scheduled_for))
        if ending.state == "dead":
            reason = ending.error or "no reason"
            await self._say_dead(connection, run, reason)
            letter = self.dead_letters.row(
                delivery.record, reason, run.task.name, run.claim.attempt, error=error, run=run.command.id
            )
            await put(connection, letter)

    async def _say_dead(self, connection: AsyncConnection, run: Run, reason: str) -> None:
        """The task's own rows about its end, if its arguments can be read at all."""
        if run.task.on_dead is None:
            return
        try:
            args = msgspec.convert(run.command.args, run.task.args_type)
        except msgspec.ValidationError:
            return
        try:
            async with connection.begin_nested():
                await run.task.on_dead(args, reason)(connection)
        except Exception as error:
            if is_passing(error):
                raise
            # A fault in what is said of the end must not keep the run from ending.
            log.exception("on_dead failed", task=run.task.name, run=str(run.command.id))

    async def _put_at(
        self, connection: AsyncConnection, delivery: Delivery, command: Command, why: str, when: LiveUntil
    ) -> None:
        row = copy_of(delivery, command, dedupe_key=f"{why}:{command.id}:{command.attempt}")
        await put(connection, replace(row, due_at=when.until, occurred_at=when.until))

    async def _ended_before(self, run: Run) -> str:
        """Whether a COMMIT of ours had got through though its answer was lost."""
        state = await self.ledger.state(run.claim)
        if state is None:
            log.warning("run was taken over", task=run.task.name, run=str(run.command.id))
            return "duplicate"
        return state

    async def ask_again(self, live: Sequence[tuple[Received, LiveUntil]]) -> None:
        """Another delivery runs each of these: look again when its lease is over, should that worker die."""
        async with self.engine.begin() as connection:
            for received, until in live:
                await self._put_at(connection, received.delivery, received.command, "live", until)

    async def park_busy(self, busy: Sequence[Received]) -> None:
        """As many run for their concurrency keys as may: look again in a moment, at the same attempt."""
        async with self.engine.begin() as connection:
            for received in busy:
                now = self.clock.now()
                waits = min(max((now - received.command.caused_at) / 8, SHORTEST_BUSY), LONGEST_BUSY)
                due = now + waits * self.rng.uniform(1, 2)
                await park(connection, received.order, due)
                await self._put_at(connection, received.delivery, received.command, "key", LiveUntil(due))

    async def give_back(self, runs: Sequence[Run]) -> None:
        """Claims that will not end here: whoever gets the command next need not wait for the lease. One whose
        offset was acknowledged comes back through the outbox.
        """
        async with self.engine.begin() as connection:
            ours = await self.ledger.release(connection, [run.claim for run in runs])
            for run in runs:
                if run.left_to_ledger and run.command.id in ours:
                    now = LiveUntil(self.clock.now())
                    await self._put_at(connection, run.received.delivery, run.command, "live", now)

    async def park_unknown(self, delivery: Delivery, command: Command) -> None:
        """A task of a newer or older worker: somebody may know it a minute later."""
        due = LiveUntil(self.clock.now() + UNKNOWN_TASK_DELAY)
        log.warning("unknown task parked", task=command.task, run=str(command.id))
        async with self.engine.begin() as connection:
            await self._put_at(connection, delivery, command, "unknown", due)

    async def refuse(self, received: Received, reason: str) -> None:
        """A dead letter for a command that no row of the ledger can stand for."""
        row: OutboxRow = self.dead_letters.row(
            received.delivery.record, reason, received.task.name, received.command.attempt, run=received.command.id
        )
        async with self.engine.begin() as connection:
            await put(connection, row)


def leaves_rows(outcome: Outcome) -> bool:
    """Whether rows beside the ledger's own commit with it: an effect, a retry, a dead letter."""
    return not (isinstance(outcome, Done | Skip) and outcome.effect is None)


def storable(reason: str) -> str:
    """A reason as PostgreSQL can hold it, and of a length that people read."""
    text = reason.encode(errors="backslashreplace").decode()
    return text.replace("\x00", "\\x00")[:MAX_REASON]
