"""Every statement with which ``tailrace up`` watches, each with its purpose."""

from sqlalchemy import text

# What ended, or was put off, since the last look.
ENDED_SINCE = text("""
    SELECT task, state, attempt, args, finished_at, coalesce(error, outcome ->> 'reason', '') AS reason
      FROM tailrace.task_runs
     WHERE finished_at > :since AND state <> 'running'
     ORDER BY finished_at
""")

# How many renditions a picture has.
RENDITIONS_OF = text("SELECT count(*) FROM tailrace.media_renditions WHERE post_id = :post_id")

# Commands that somebody still has to run, or is running.
OPEN_RUNS = text("SELECT count(*) FROM tailrace.task_runs WHERE state IN ('queued', 'running')")

# Rows that should have been sent by now, and rows that cannot be sent.
UNSENT = text("""
    SELECT count(*) FILTER (WHERE state = 'pending' AND due_at <= now()) AS due,
           count(*) FILTER (WHERE state = 'set_aside' AND created_at >= :since) AS set_aside
      FROM tailrace.outbox
""")

# The backend ids for which a task has come to an end, or waits for its retry.
SETTLED = text("""
    SELECT args ->> :argument AS id
      FROM tailrace.task_runs
     WHERE task = :task AND caused_at >= :since AND state IN ('done', 'skipped', 'dead', 'cancelled', 'parked')
""")

# How far the live trending counts have come, over all sources.
COUNTED = text("""
    SELECT coalesce(sum(next_offset), 0)
      FROM tailrace.trending_sources JOIN tailrace.trending_state ON generation = live_generation
""")

# Runs by task and state: what ended, or was put off, since, and what is open.
RUNS = text("""
    SELECT task, state, count(*) AS runs
      FROM tailrace.task_runs
     WHERE finished_at >= :since OR state IN ('queued', 'running')
     GROUP BY task, state ORDER BY task, state
""")

# Mails and renditions since.
EFFECTS = text("""
    SELECT (SELECT count(*) FROM tailrace.mail_deliveries WHERE created_at >= :since AND state = 'sent') AS mails,
           (SELECT count(*) FROM tailrace.media_renditions WHERE created_at >= :since) AS renditions
""")
