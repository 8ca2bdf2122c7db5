"""Give many commands to the queues at once, from inside a transaction."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.topics import QUEUE_BY_NAME
from streams.outbox import WAKE, pack_headers
from streams.submission import Submission, command_headers

# Runs that wait for their time; those that are known already are left as they are.
SUBMIT = text("""
    INSERT INTO tailrace.task_runs (id, caused_at, task, queue, state, attempt, generation, args,
                                    scheduled_for, cause, key)
    SELECT id, caused_at, task, queue, 'queued', attempt, generation, args::jsonb,
           coalesce(due_at, clock_timestamp()), cause::jsonb, key
      FROM unnest(CAST(:ids AS uuid[]), CAST(:caused_at AS timestamptz[]), CAST(:tasks AS text[]),
                  CAST(:queues AS text[]), CAST(:attempts AS int[]), CAST(:generations AS int[]),
                  CAST(:args AS text[]), CAST(:dues AS timestamptz[]), CAST(:causes AS text[]), CAST(:keys AS bytea[]))
           AS want (id, caused_at, task, queue, attempt, generation, args, due_at, cause, key)
     ORDER BY id
    ON CONFLICT (caused_at, id) DO NOTHING
    RETURNING id
""")

# Their commands, for the relay.
PUT = text("""
    INSERT INTO tailrace.outbox (topic, key, headers, payload, occurred_at, due_at, dedupe_key)
    SELECT topic, key, headers::jsonb, payload, coalesce(due_at, now()), coalesce(due_at, now()), dedupe_key
      FROM unnest(CAST(:topics AS text[]), CAST(:keys AS bytea[]), CAST(:headers AS text[]),
                  CAST(:payloads AS bytea[]), CAST(:dues AS timestamptz[]), CAST(:dedupe_keys AS text[]))
           AS copies (topic, key, headers, payload, due_at, dedupe_key)
    ON CONFLICT (dedupe_key) DO NOTHING
""")


async def submit_many(connection: AsyncConnection, submissions: Sequence[Submission]) -> int:
    """How many are new: a run of the same id and cause's time is left as it is, and nothing is published."""
    if not submissions:
        return 0
    commands = [each.command for each in submissions]
    columns = {
        "ids": [command.id for command in commands],
        "caused_at": [command.caused_at for command in commands],
        "tasks": [command.task for command in commands],
        "queues": [each.queue for each in submissions],
        "attempts": [command.attempt for command in commands],
        "generations": [command.generation for command in commands],
        "args": [msgspec.json.encode(command.args).decode() for command in commands],
        "dues": [each.due_at for each in submissions],
        "causes": [msgspec.json.encode(command.cause).decode() for command in commands],
        "keys": [each.key for each in submissions],
    }
    new = set((await connection.execute(SUBMIT, columns)).scalars())
    await _publish(connection, [each for each in submissions if each.command.id in new])
    return len(new)


async def _publish(connection: AsyncConnection, submissions: Sequence[Submission]) -> None:
    await connection.execute(
        PUT,
        {
            "topics": [QUEUE_BY_NAME[each.queue].topic for each in submissions],
            "keys": [each.key for each in submissions],
            "headers": [pack_headers(command_headers(each.command.task)) for each in submissions],
            "payloads": [msgspec.json.encode(each.command) for each in submissions],
            "dues": [each.due_at for each in submissions],
            "dedupe_keys": [f"submit:{each.command.id}:{each.command.attempt}" for each in submissions],
        },
    )
    await connection.execute(WAKE)
