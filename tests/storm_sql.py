"""What the storms ask the database, each with its purpose."""

from sqlalchemy import text

# Where the tasks of ``tests.storm_worker`` leave their rows.
TABLES = (
    "CREATE TABLE effects (number integer NOT NULL, worker text NOT NULL)",
    "CREATE TABLE tries (number integer NOT NULL, worker text NOT NULL)",
)

# Commands whose effect was committed another number of times than once.
NOT_ONCE = text("""
    SELECT given.number, count(effects.number) AS times
      FROM generate_series(1, CAST(:given AS integer)) AS given (number)
      LEFT JOIN effects USING (number)
     GROUP BY 1 HAVING count(effects.number) <> 1 ORDER BY 1
""")

# Commands up to one that have left nothing yet.
MISSING = text("""
    SELECT count(*) FROM generate_series(1, CAST(:upto AS integer)) AS given (number)
     WHERE NOT EXISTS (SELECT 1 FROM effects WHERE effects.number = given.number)
""")

# What is still to be sent, or cannot be.
OUTBOX = text("SELECT count(*) FROM tailrace.outbox")

TRIES = text("SELECT count(*) FROM tries")

# How often a run was taken over from a worker that was lost.
TAKEOVERS = text("SELECT coalesce(sum(takeovers), 0) FROM tailrace.task_runs")

WORKERS = text("SELECT count(DISTINCT worker) FROM effects")

# Runs in progress, by the process that has them: the name of a worker holds the number of its process.
RUNNING = text("SELECT count(*) FROM tailrace.task_runs WHERE state = 'running' AND worker LIKE :worker")

LONG_RUNS = text("""
    SELECT count(*) FROM tailrace.task_runs
     WHERE state = 'running' AND started_at <= clock_timestamp() - make_interval(secs => CAST(:seconds AS float))
""")
