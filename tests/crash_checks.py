"""What must hold after each step, and what when all has come to rest."""

import uuid
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from schemas.commands import Command
from schemas.topics import dead_letter_topic
from streams.claims import MAX_TAKEOVERS
from streams.records import Record
from tests.broker_model import PARTITIONS, Broker
from tests.crash_tasks import WITH_EFFECT
from tests.crash_worker import TOPIC

FINAL = ("done", "skipped", "dead")

RUNS = """
    SELECT id, caused_at, task, state, attempt, takeovers, lease_until, started_at, finished_at, schedule, sweeps,
           scheduled_for, worker, error, concurrency_key, (args ->> 'number')::int AS number,
           (SELECT count(*) FROM effects WHERE run = id) AS effects, fake_clock.now() AS now
      FROM tailrace.task_runs
"""
OUTBOX = "SELECT topic, state, due_at, dedupe_key, payload, error FROM tailrace.outbox"


class Checks:
    """Knows what was asked for, and how the ledger looked when it looked last."""

    def __init__(self, observing: asyncpg.Connection, broker: Broker, begin: datetime) -> None:
        self._observing = observing
        self._broker = broker
        self._begin = begin
        self._before: dict[uuid.UUID, asyncpg.Record] = {}
        self.expected: set[uuid.UUID] = set()
        self.garbage = 0

    def expect(self, command: Command) -> None:
        self.expected.add(command.id)

    def expect_again(self, run: uuid.UUID) -> None:
        """It has ended, and is to run once more."""
        self._before.pop(run, None)

    async def dead(self) -> list[uuid.UUID]:
        """Runs that a person could try again."""
        rows = await self._observing.fetch(
            "SELECT id FROM tailrace.task_runs WHERE state = 'dead' AND schedule IS NULL ORDER BY id"
        )
        return [row["id"] for row in rows]

    async def at_any_time(self) -> None:
        runs = {run["id"]: run for run in await self._observing.fetch(RUNS)}
        for run in runs.values():
            wanted = int(run["state"] == "done" and run["task"] in WITH_EFFECT)
            assert run["effects"] == wanted, f"{run['effects']} effects of {run}"
            assert (run["state"] == "running") == (run["lease_until"] is not None), run
            self._assert_went_forward(run)
        at_once = [run for run in runs.values() if run["concurrency_key"] and run["state"] == "running"]
        assert sum(run["lease_until"] > run["now"] for run in at_once) <= 1, at_once
        await self._assert_nothing_lost(set(runs))
        self._before = runs

    def _assert_went_forward(self, run: asyncpg.Record) -> None:
        before = self._before.get(run["id"])
        if before is None:
            return
        assert run["attempt"] >= before["attempt"], (before, run)
        assert run["takeovers"] >= before["takeovers"], (before, run)
        if before["state"] in FINAL:
            same = ("state", "attempt", "finished_at", "takeovers")
            assert [run[name] for name in same] == [before[name] for name in same], (before, run)

    async def _assert_nothing_lost(self, in_ledger: set[uuid.UUID]) -> None:
        """A command is in the ledger, on its queue at or above the committed offset, or on the outbox; a record that
        cannot be decoded is on its queue in the same way, or among the dead letters.
        """
        queued = self._broker.uncommitted([TOPIC])
        waiting = [row["payload"] for row in await self._observing.fetch(OUTBOX) if row["topic"] == TOPIC]
        found = in_ledger | {command.id for value in waiting if (command := decoded(value))}
        found |= {command.id for record in queued if (command := decoded(record.value))}
        assert self.expected <= found, f"lost: {self.expected - found}"
        undecoded = {(record.partition, record.offset) for record in queued if decoded(record.value) is None}
        assert len(undecoded | self._letters_of_garbage()) == self.garbage, "a record that cannot be decoded is lost"

    def _dead_letters(self) -> list[Record]:
        return [
            record
            for partition in range(PARTITIONS)
            for record in self._broker.logs[dead_letter_topic(TOPIC), partition]
        ]

    def _letters_of_garbage(self) -> set[tuple[int, int]]:
        headers = [dict(letter.headers) for letter in self._dead_letters()]
        return {
            (int(found["tailrace-partition"] or b""), int(found["tailrace-offset"] or b""))
            for found in headers
            if "tailrace-run" not in found
        }

    async def is_quiet(self) -> bool:
        """Nobody has anything to do, now or later."""
        return not self._broker.uncommitted([TOPIC]) and not await self.what_is_open()

    async def what_is_open(self) -> list[Any]:
        """Runs that have not ended, and rows that are not sent."""
        runs = [run for run in await self._observing.fetch(RUNS) if run["state"] not in FINAL]
        return runs + await self._observing.fetch(OUTBOX)

    async def at_the_end(self) -> None:
        """Each command and each instant has ended once, and as it should."""
        await self.at_any_time()
        runs = await self._observing.fetch(RUNS)
        assert self.expected == {run["id"] for run in runs if run["schedule"] is None}
        for run in runs:
            assert_ended_right(run)
        told = {dict(letter.headers).get("tailrace-run") for letter in self._dead_letters()}
        assert {str(run["id"]).encode() for run in runs if run["state"] == "dead"} <= told
        assert len(self._letters_of_garbage()) == self.garbage
        for schedule in await self._observing.fetch("SELECT name, every, next_at FROM tailrace.schedules"):
            due = (schedule["next_at"] - self._begin) // schedule["every"] - 1
            instants = [run["caused_at"] for run in runs if run["schedule"] == schedule["name"]]
            wanted = [self._begin + number * schedule["every"] for number in range(1, due + 1)]
            assert sorted(instants) == wanted, schedule


def assert_ended_right(run: asyncpg.Record) -> None:
    """In the final state that is its task's; or given up for the workers that were lost with it, or left out because
    a later instant ran.
    """
    if run["state"] == "dead" and run["takeovers"] > MAX_TAKEOVERS:
        return
    if run["schedule"] == "latest" and run["state"] == "skipped" and run["started_at"] is None:
        return
    noted = "done" if run["number"] % 2 else "skipped"
    right = {"take_note": noted, "give_up": "dead"}.get(run["task"], "done")
    assert run["state"] == right, run


def decoded(value: bytes | None) -> Command | None:
    """The command, if it is one."""
    try:
        return msgspec.json.decode(value or b"", type=Command)
    except msgspec.DecodeError:
        return None
