"""The sweeper's statements. Both marks read open rows only, by indexes that hold nothing else, and skip those that
somebody holds just now: they are being dealt with.
"""

from sqlalchemy import text

# One sweep at a time, until its COMMIT.
TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtext('tailrace.sweeper'))")

# Queues whose runs can start, and whether they could for so long that none should be overdue: while a queue was paused
# none could, and then there is much to do.
QUEUES = text("""
    SELECT name, coalesce(queues.changed_at < now() - CAST(:sweep_after AS interval), true) AS settled
      FROM unnest(CAST(:queues AS text[])) AS ours (name)
      LEFT JOIN tailrace.queues USING (name)
     WHERE queues.paused IS NOT TRUE
""")

COPIES = ("retry", "live", "key", "submit", "requeue", "unknown")
"""What the dedupe key of a command on the outbox begins with: why it is there. Id and attempt follow."""


def copy_keys(run: str) -> str:
    """The dedupe keys that copies of this attempt may have; ``run`` is what the statement calls its row."""
    return ", ".join(f"'{why}:' || {run}.id || ':' || {run}.attempt" for why in COPIES)


# Whether an outbox row of this very attempt waits, whoever has put it there; looked up in the unique index.
WAITING_COPY = f"""
    EXISTS (SELECT FROM tailrace.outbox
             WHERE dedupe_key IN ({copy_keys("run")}))
"""

# How long a run is left alone that has been put on its queue before: twice as long each time, up to a day. 2^20 keeps
# the product within an interval.
PATIENCE = """
    least(CAST(:sweep_after AS interval) * power(2, least(run.sweeps, 20)),
          greatest(CAST(:sweep_after AS interval), interval '1 day'))
"""

# Since when a run waits; as the index ``task_runs_waiting`` has it.
SINCE = "coalesce(greatest(run.scheduled_for, run.enqueued_at, run.swept_at), run.caused_at)"

# Whether the relay is behind: what should have been published waits on the outbox then, and copies would too.
RELAY_IS_BEHIND = text("""
    SELECT EXISTS (SELECT FROM tailrace.outbox
                    WHERE state = 'pending' AND due_at < now() - CAST(:behind AS interval)
                      AND topic = ANY(CAST(:topics AS text[])))
""")

# The commands of what is marked.
COMMAND = """
    run.id, run.caused_at, run.task, run.queue, run.state, run.args, run.attempt, run.generation, run.cause, run.key,
    run.replay
"""

# Runs that a lost worker has left, at once; again only where the copy did not come through.
MARK_LOST = text(f"""
    WITH lost AS MATERIALIZED (
        SELECT run.id, run.caused_at
          FROM tailrace.task_runs AS run
         WHERE run.state = 'running' AND run.queue = ANY(CAST(:queues AS text[]))
           AND run.lease_until < now()
           AND (run.swept_at IS NULL OR run.swept_at + {PATIENCE} < now())
           AND NOT {WAITING_COPY}
         LIMIT :at_most
           FOR UPDATE OF run SKIP LOCKED)
    UPDATE tailrace.task_runs AS run SET swept_at = now(), sweeps = run.sweeps + 1
      FROM lost WHERE run.caused_at = lost.caused_at AND run.id = lost.id
    RETURNING {COMMAND}
""")  # noqa: S608 - of the constants above

# Runs that should have started long ago.
MARK_OVERDUE = text(f"""
    WITH overdue AS MATERIALIZED (
        SELECT run.id, run.caused_at
          FROM tailrace.task_runs AS run
         WHERE run.state IN ('queued', 'parked') AND {SINCE} < now() - CAST(:sweep_after AS interval)
           AND {SINCE} + {PATIENCE} < now() AND run.queue = ANY(CAST(:queues AS text[]))
           AND NOT {WAITING_COPY}
         LIMIT :at_most
           FOR UPDATE OF run SKIP LOCKED)
    UPDATE tailrace.task_runs AS run SET swept_at = now(), sweeps = run.sweeps + 1
      FROM overdue WHERE run.caused_at = overdue.caused_at AND run.id = overdue.id
    RETURNING {COMMAND}
""")  # noqa: S608 - of the constants above

# Their copies, on the outbox. One that waits already stays as it is. The key is that of a copy that a worker asks for
# when the run is another's: either of the two is enough.
PUT_COPIES = text("""
    INSERT INTO tailrace.outbox (topic, key, headers, payload, occurred_at, dedupe_key)
    SELECT topic, key, headers::jsonb, payload, clock_timestamp(), dedupe_key
      FROM unnest(CAST(:topics AS text[]), CAST(:keys AS bytea[]), CAST(:headers AS text[]),
                  CAST(:payloads AS bytea[]), CAST(:dedupe_keys AS text[]))
           AS copies (topic, key, headers, payload, dedupe_key)
    ON CONFLICT (dedupe_key) DO NOTHING
""")
