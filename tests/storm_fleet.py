"""Workers that are killed, stopped, frozen and replaced."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from streams.devstack.processes import free_port
from tests.forked import Call, Forked
from tests.processes import Running
from tests.waiting import eventually

READY_WITHIN = 60
GRACE = timedelta(seconds=20)
SIGNS = {"tailrace_consumed_total": 1, "tailrace_ended_total": -1, "tailrace_in_flight": -1}
PROGRAM = "tests.storm_worker"


class Fleet:
    """The workers of one consumer group."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self._environment = environment
        self._logs = logs
        self.members: list[Running] = []

    async def grow_to(self, size: int) -> None:
        """So many workers, all ready."""
        while len(self.members) < size:
            await self.start(wait=False)
        await self.all_ready()

    async def start(self, *, wait: bool = True, **changes: str) -> Running:
        """One worker more, with these variables changed; ready on return, if that is waited for."""
        port = free_port()
        own = {"TAILRACE_WORKER__PORT": str(port), "TAILRACE_WORKER__DATA": str(self._logs / f"data-{port}"), **changes}
        log = self._logs / f"worker-{port}.log"
        child = Forked.start(Call(PROGRAM, (), {**os.environ, **self._environment, **own}, log, log))
        member = Running(child, port)
        self.members.append(member)
        if wait:
            await eventually(member.is_ready, READY_WITHIN, "a worker is ready")
        return member

    async def all_red(self) -> bool:
        """Whether each member runs and says that it is not ready."""
        return all([await is_red(member) for member in self.members])

    async def all_ready(self, within: float = READY_WITHIN) -> None:
        """Returns when each member is ready. Fails where one has ended by itself."""
        for member in self.members:
            await eventually(member.is_ready, within, "each worker is ready")

    async def assert_conserved(self) -> None:
        """consumed = ended + in flight for each topic of each worker. One that came late may have consumed nothing."""
        rests = [await rest_by_topic(member) for member in self.members]
        assert any(rests), "nobody says what was consumed"
        assert not any(value for rest in rests for value in rest.values()), rests

    async def kill(self, member: Running) -> None:
        """SIGKILL, as if its machine had gone."""
        self.members.remove(member)
        await member.child.kill()

    async def leave(self, member: Running) -> None:
        """SIGTERM: it must end in time, and in order if it had come so far as to answer."""
        self.members.remove(member)
        answers = (await member.get("/readyz"))[0] != 0
        os.kill(member.child.pid, signal.SIGTERM)
        exit_code = await asyncio.wait_for(member.child.wait(), GRACE.total_seconds())
        assert exit_code == 0 or not answers, member.child.failure("did not end in order")

    async def replace(self, how: signal.Signals, rng: random.Random) -> None:
        """End a random member in this way and start another in its place, at once."""
        member = rng.choice(self.members)
        await (self.kill(member) if how == signal.SIGKILL else self.leave(member))
        await self.start(wait=False)

    async def stop(self) -> None:
        """End all that still run."""
        await asyncio.gather(*(member.child.stop(GRACE) for member in self.members))


@asynccontextmanager
async def fleet_in(environment: Mapping[str, str], logs: Path) -> AsyncIterator[Fleet]:
    """Workers with these settings, none yet; at the end none is left."""
    fleet = Fleet(environment, logs)
    try:
        yield fleet
    finally:
        await fleet.stop()


async def is_red(member: Running) -> bool:
    """Whether a worker that runs says that it is not ready."""
    assert member.child.exit_code is None, member.child.failure("ended")
    return (await member.get("/readyz"))[0] == 503


async def rest_by_topic(member: Running) -> dict[str, float]:
    """consumed - ended - in flight of this worker. Fails where its own sum is not even."""
    rest: dict[str, float] = {}
    for sample in await _samples(member):
        if sample.name in SIGNS:
            topic = sample.labels["topic"]
            rest[topic] = rest.get(topic, 0) + SIGNS[sample.name] * sample.value
        assert sample.name != "tailrace_conservation_error" or sample.value == 0, sample
    return rest


async def _samples(member: Running) -> list[Sample]:
    status, metrics = await member.get("/metrics")
    assert status == 200, member.child.failure("does not tell its metrics")
    return [sample for family in text_string_to_metric_families(metrics) for sample in family.samples]
