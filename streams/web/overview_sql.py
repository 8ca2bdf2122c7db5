"""Every statement behind the overview, each with its purpose. All are answered from an index."""

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

# The clock that every other instant here comes from.
NOW = text("SELECT now() AS now")

# Runs by task and state: what ended in the last hour, and what is open however old it is.
RUNS_BY_TASK = text("""
    SELECT task, state, count(*) AS runs
      FROM (SELECT task, state FROM tailrace.task_runs
             WHERE state IN ('queued', 'running', 'parked')
             UNION ALL
            SELECT task, state FROM tailrace.task_runs
             WHERE finished_at >= now() - interval '1 hour' AND state IN ('done', 'skipped', 'dead', 'cancelled')
           ) AS run
     GROUP BY task, state ORDER BY task, state
""")

# What waits to be sent: due now, due later (retries), set aside because it cannot be sent; how late the oldest is.
OUTBOX = text("""
    SELECT count(*) FILTER (WHERE state = 'pending' AND due_at <= now()) AS due,
           count(*) FILTER (WHERE state = 'pending' AND due_at > now()) AS later,
           count(*) FILTER (WHERE state = 'set_aside') AS set_aside,
           CAST(extract(epoch FROM now() - min(due_at) FILTER (WHERE state = 'pending' AND due_at <= now()))
                AS float8) AS oldest_seconds
      FROM tailrace.outbox
""")

# The workers that were seen at work in the last five minutes, and what each runs now.
WORKERS = text("""
    SELECT worker, count(*) FILTER (WHERE state = 'running') AS running, max(seen) AS last_seen
      FROM (SELECT worker, state, started_at AS seen FROM tailrace.task_runs WHERE state = 'running'
             UNION ALL
            SELECT worker, state, finished_at FROM tailrace.task_runs
             WHERE finished_at >= now() - interval '5 minutes' AND state <> 'running') AS run
     WHERE worker IS NOT NULL
     GROUP BY worker ORDER BY max(seen) DESC, worker LIMIT 50
""")

# The latest runs: those that run, and those that have ended or wait for their retry.
LATEST_RUNS = text("""
    SELECT * FROM (
        (SELECT id, task, queue, state, attempt, takeovers, started_at AS at, NULL::int AS duration_ms, worker, args,
                NULL AS reason, NULL::timestamptz AS scheduled_for
           FROM tailrace.task_runs WHERE state = 'running' ORDER BY started_at DESC LIMIT 20)
        UNION ALL
        (SELECT id, task, queue, state, attempt, takeovers, finished_at, duration_ms, worker, args,
                left(coalesce(error, outcome ->> 'reason'), 300), scheduled_for
           FROM tailrace.task_runs WHERE finished_at IS NOT NULL AND state <> 'running'
          ORDER BY finished_at DESC LIMIT 20)) AS run
     ORDER BY at DESC, id LIMIT 20
""").columns(args=JSONB)

# The latest mails, whatever became of them.
LATEST_MAILS = text("""
    SELECT template, recipient, subject, state, updated_at
      FROM tailrace.mail_deliveries ORDER BY updated_at DESC LIMIT 12
""")

# The latest pictures, in the smallest size that is not cropped.
LATEST_PICTURES = text("""
    SELECT post_id, key, width, height, created_at
      FROM tailrace.media_renditions WHERE variant = 'w320' ORDER BY created_at DESC LIMIT 8
""")
