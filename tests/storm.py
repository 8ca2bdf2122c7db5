"""Commands by the thousand, given as users give them, and the count of what came of them."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.commands import Command, command_id
from schemas.envelope import Identity
from streams.db import is_passing
from streams.kafka_client import client_options, full_name, producer_for, worker_group
from streams.settings import Settings
from tests import storm_sql as sql
from tests.backend import say
from tests.events import states, user_created
from tests.processes import Running
from tests.storm_fleet import Fleet
from tests.storm_offsets import GroupOffsets
from tests.waiting import eventually

QUEUE = "queue.users"
"""Where the commands of the storms go."""

FACT = "user.created"
AGAIN = 50
"""Each command of so many is given twice."""


class Storm:
    """Numbered commands; each must leave exactly one effect, whatever happens to those who run it."""

    def __init__(
        self, settings: Settings, engine: AsyncEngine, producer: AIOKafkaProducer, offsets: GroupOffsets
    ) -> None:
        self._settings = settings
        self._producer = producer
        self._rng = random.Random(4)
        self.offsets = offsets
        self.engine = engine
        self.given = 0
        self.dead = 0
        self.is_over = True

    def slow(self) -> float:
        """20 ms to 2 s, most of them short."""
        return 0.02 * float(100 ** self._rng.random())

    async def emit(self, seconds: Iterable[float]) -> None:
        """Say one event for each in one transaction, again until the database has it."""
        facts = [user_created(self._next(), username=str(each)) for each in seconds]
        facts += [fact for fact in facts if int(fact.user_id) % AGAIN == 0]
        while True:
            try:
                async with self.engine.begin() as connection:
                    for fact in facts:
                        await say(connection, fact)
            except Exception as error:
                if not is_passing(error):
                    raise
                await asyncio.sleep(0.1)
            else:
                return

    async def send(self, seconds: Iterable[float], task: str = "leave_effect", partition: int | None = None) -> None:
        """Put one command for each on its queue, as a Kafka client does; returns when the broker has them."""
        commands = [_command(str(self._next()), each, task) for each in seconds]
        await self._send(commands + [command for command in commands if command.args["number"] % AGAIN == 0], partition)

    async def send_dead(self) -> None:
        """A command that is a dead letter as soon as it is run."""
        self.dead += 1
        self.is_over = False
        await self._send([_command(f"-{self.dead}", 0, "give_up")], None)

    async def has_dead(self) -> bool:
        """Whether the ledger knows that they are dead."""
        return (await states(self.engine)).get("dead", 0) == self.dead

    async def _send(self, commands: Iterable[Command], partition: int | None) -> None:
        topic = full_name(self._settings.kafka, QUEUE)
        sent = [
            await self._producer.send(topic, msgspec.json.encode(each), key=each.id.bytes, partition=partition)
            for each in commands
        ]
        await asyncio.gather(*sent)

    async def send_bytes(self, topic: str, value: bytes, partition: int) -> int:
        """A record as it is; its offset."""
        self.is_over = False
        sent = await self._producer.send_and_wait(full_name(self._settings.kafka, topic), value, partition=partition)
        return int(sent.offset)

    def _next(self) -> int:
        self.given += 1
        self.is_over = False
        return self.given

    async def goes_on(self, within: float, but_for: int = 0) -> None:
        """Waits until all that has been given by now is done, but for so many."""
        upto = self.given
        await eventually(lambda: self._lacks_at_most(but_for, upto), within, f"all of {upto} are done, less {but_for}")

    async def goes_on_with(self, more: int, within: float) -> None:
        """Waits until so many more have been given, and all of them are done."""
        wanted = self.given + more
        await eventually(lambda: self.given >= wanted, within, f"{more} more are given")
        await self.goes_on(within)

    async def _lacks_at_most(self, wanted: int, upto: int) -> bool:
        try:
            return await self._count(sql.MISSING, upto=upto) <= wanted
        except Exception as error:
            if not is_passing(error):
                raise
            return False  # the database is away

    async def tries(self) -> int:
        """How often a task that notes it has come to its end."""
        return await self._count(sql.TRIES)

    async def has_tried(self, wanted: int) -> bool:
        return await self.tries() >= wanted

    async def runs_of(self, member: Running, *, at_least: int) -> bool:
        """Whether so many runs are in this worker's hands."""
        return await self._count(sql.RUNNING, worker=f"%-{member.child.pid}-%") >= at_least

    async def assert_each_done_once(self, fleet: Fleet, within: float = 60) -> None:
        """Waits until all is quiet: nothing to read, nothing to send. Then the ledger holds each command done once,
        each effect is there once, and each worker's sum is even.
        """
        await self.goes_on(within)
        await eventually(self.is_quiet, within, "all is read and sent")
        async with self.engine.connect() as connection:
            wrong = (await connection.execute(sql.NOT_ONCE, {"given": self.given})).all()
        assert not wrong, f"commands, and how often they took effect: {wrong}"
        found, wanted = await states(self.engine), {"done": self.given, "dead": self.dead}
        assert found == {state: count for state, count in wanted.items() if count}, f"{found}, not {wanted}"
        await fleet.assert_conserved()
        self.is_over = True

    async def is_quiet(self) -> bool:
        """Whether the outbox is empty and the group has acknowledged all that is on its topics."""
        return not await self._count(sql.OUTBOX) and not await self.offsets.unacknowledged()

    async def has_run_for(self, seconds: float) -> bool:
        """Whether a run has been in progress for so long."""
        return await self._count(sql.LONG_RUNS, seconds=seconds) > 0

    async def takeovers(self) -> int:
        return await self._count(sql.TAKEOVERS)

    async def workers(self) -> int:
        """How many different workers have left effects."""
        return await self._count(sql.WORKERS)

    async def _count(self, statement: TextClause, **values: object) -> int:
        async with self.engine.connect() as connection:
            return int((await connection.execute(statement, values)).scalar_one())


@asynccontextmanager
async def storm_on(settings: Settings, engine: AsyncEngine) -> AsyncIterator[Storm]:
    """A storm over this database and these topics; makes the tables of effects."""
    async with engine.begin() as connection:
        for statement in sql.TABLES:
            await connection.execute(text(statement))
    async with AsyncExitStack() as closing:
        producer = producer_for(settings.kafka, linger_ms=5)
        await producer.start()
        closing.push_async_callback(producer.stop)
        consumer = AIOKafkaConsumer(
            **client_options(settings.kafka), group_id=worker_group(settings.kafka), enable_auto_commit=False
        )
        await consumer.start()
        closing.push_async_callback(consumer.stop)
        yield Storm(settings, engine, producer, GroupOffsets(settings.kafka, consumer, (FACT, QUEUE)))


def _command(number: str, seconds: float, task: str) -> Command:
    cause = Identity("/storm", "storm", number)
    return Command(
        id=command_id(cause, task),
        task=task,
        args={"number": int(number), "seconds": seconds},
        caused_at=datetime.now(UTC),
        cause=cause,
    )
