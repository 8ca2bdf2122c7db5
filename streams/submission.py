"""Give commands to the queues from inside a transaction: the ledger's row and the outbox's commit together."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.commands import Command
from schemas.envelope import Headers, Identity
from schemas.topics import QUEUE_BY_NAME
from streams.outbox import OutboxRow, put

# A run that waits for its time; one that is known already is left as it is.
SUBMIT = text("""
    INSERT INTO tailrace.task_runs (id, caused_at, task, queue, state, attempt, generation, args,
                                    scheduled_for, cause, key, schedule)
    VALUES (:id, :caused_at, :task, :queue, 'queued', :attempt, :generation, CAST(:args AS jsonb),
            coalesce(:due_at, clock_timestamp()), CAST(:cause AS jsonb), :key, :schedule)
    ON CONFLICT (caused_at, id) DO NOTHING
    RETURNING id
""")

# A run that has ended waits again, as its next attempt. What it left behind stays until it starts.
REQUEUE = text("""
    UPDATE tailrace.task_runs
       SET state = 'queued', attempt = attempt + 1, first_attempt = attempt + 1,
           queue = coalesce(:queue, queue), sweeps = 0, takeovers = 0,
           worker = NULL, lease_until = NULL, scheduled_for = coalesce(:due_at, clock_timestamp())
     WHERE caused_at = :caused_at AND id = :id AND state = ANY(:states)
    RETURNING id, caused_at, task, queue, args, attempt, generation, cause, key
""")


@dataclass(frozen=True)
class Submission:
    """A command for ``queue``, to be published at ``due_at``, or at once where that is None."""

    command: Command
    queue: str
    key: bytes | None = None
    due_at: datetime | None = None
    schedule: str | None = None


async def submit(connection: AsyncConnection, submission: Submission) -> bool:
    """Whether it is new: a run of the same id and cause's time is left as it is, and nothing is published."""
    command = submission.command
    inserted = await connection.execute(
        SUBMIT,
        {
            "id": command.id,
            "caused_at": command.caused_at,
            "task": command.task,
            "queue": submission.queue,
            "attempt": command.attempt,
            "generation": command.generation,
            "args": msgspec.json.encode(command.args).decode(),
            "due_at": submission.due_at,
            "cause": msgspec.json.encode(command.cause).decode(),
            "key": submission.key,
            "schedule": submission.schedule,
        },
    )
    if inserted.first() is None:
        return False
    await publish_command(connection, command, submission.queue, submission.key, submission.due_at, why="submit")
    return True


async def requeue(
    connection: AsyncConnection,
    run_id: uuid.UUID,
    caused_at: datetime,
    *,
    states: Sequence[str] = ("dead",),
    queue: str | None = None,
    due_at: datetime | None = None,
    headers: Headers | None = None,
) -> Command | None:
    """The next attempt of a run that has ended in one of ``states``; None where it is in none of them (any more).
    ``headers`` go with the command beside its own.
    """
    keys = {"id": run_id, "caused_at": caused_at, "states": list(states), "queue": queue, "due_at": due_at}
    row = (await connection.execute(REQUEUE, keys)).first()
    if row is None:
        return None
    command = command_of(row)
    await publish_command(connection, command, row.queue, row.key, due_at, why="requeue", headers=headers)
    return command


def command_of(row: Any) -> Command:
    """The command that a row of the ledger stands for, at the row's attempt."""
    cause = msgspec.convert(row.cause, Identity) if row.cause else Identity("tailrace", "run", str(row.id))
    return Command(
        id=row.id,
        task=row.task,
        args=row.args,
        caused_at=row.caused_at,
        cause=cause,
        attempt=row.attempt,
        generation=row.generation,
    )


async def publish_command(
    connection: AsyncConnection,
    command: Command,
    queue: str,
    key: bytes | None,
    due_at: datetime | None,
    *,
    why: str,
    headers: Headers | None = None,
) -> None:
    """The outbox row of a command whose ledger row the caller writes in the same transaction."""
    await put(
        connection,
        OutboxRow(
            topic=QUEUE_BY_NAME[queue].topic,
            key=key,
            payload=msgspec.json.encode(command),
            headers=command_headers(command.task, headers or ()),
            occurred_at=due_at or await _now(connection),
            due_at=due_at,
            dedupe_key=f"{why}:{command.id}:{command.attempt}",
        ),
    )


def command_headers(task: str, passed_on: Iterable[tuple[str, bytes | None]] = ()) -> Headers:
    """Headers of a command, and those of its cause that it carries on."""
    return [("content-type", b"application/json"), ("tailrace-task", task.encode()), *passed_on]


NOW = text("SELECT clock_timestamp()")


async def _now(connection: AsyncConnection) -> datetime:
    found: datetime = (await connection.execute(NOW)).scalar_one()
    return found
