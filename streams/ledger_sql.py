"""Every statement on ``tailrace.task_runs``, each with its purpose."""

from sqlalchemy import text

# Take each command that nobody has taken: new, due again, or left by a worker whose lease has run out.
# Sorted by id, so that two workers with the same commands wait for each other and never deadlock.
CLAIM = text("""
    INSERT INTO tailrace.task_runs AS run (id, caused_at, task, queue, state, attempt, generation, args,
                                           enqueued_at, cause, key, concurrency_key, started_at,
                                           worker, lease_until)
    SELECT want.id, want.caused_at, want.task, want.queue, 'running', want.attempt, want.generation,
           want.args::jsonb, want.enqueued_at, want.cause::jsonb, want.key, want.concurrency_key,
           clock_timestamp(), :worker, clock_timestamp() + CAST(:lease AS interval)
      FROM unnest(CAST(:ids AS uuid[]), CAST(:caused_at AS timestamptz[]), CAST(:tasks AS text[]),
                  CAST(:queues AS text[]), CAST(:attempts AS int[]), CAST(:generations AS int[]),
                  CAST(:args AS text[]), CAST(:enqueued_at AS timestamptz[]), CAST(:causes AS text[]),
                  CAST(:keys AS bytea[]), CAST(:concurrency_keys AS text[]))
           AS want (id, caused_at, task, queue, attempt, generation, args, enqueued_at, cause, key,
                    concurrency_key)
     ORDER BY want.id
    ON CONFLICT (caused_at, id) DO UPDATE
       SET state = 'running', worker = excluded.worker, started_at = excluded.started_at,
           lease_until = excluded.lease_until, enqueued_at = excluded.enqueued_at,
           concurrency_key = excluded.concurrency_key, swept_at = NULL, sweeps = 0, finished_at = NULL,
           duration_ms = NULL, outcome = NULL, error = NULL,
           takeovers = run.takeovers + CASE run.state WHEN 'running' THEN 1 ELSE 0 END
     WHERE run.attempt = excluded.attempt
       AND (run.state IN ('queued', 'parked')
            OR run.state = 'running' AND run.lease_until < clock_timestamp())
    RETURNING run.id, run.takeovers, run.first_attempt
""")

# Nobody else counts or claims for these keys until our COMMIT. In order, so that two workers never deadlock.
LOCK_KEYS = text("""
    SELECT pg_advisory_xact_lock(hashtextextended('tailrace.key:' || key, 0))
      FROM (SELECT DISTINCT key FROM unnest(CAST(:keys AS text[])) AS wanted (key) ORDER BY key) AS sorted
""")

# Runs at once for each key; those of a lost worker do not count.
RUNNING_BY_KEY = text("""
    SELECT concurrency_key, count(*) AS running
      FROM tailrace.task_runs
     WHERE state = 'running' AND concurrency_key = ANY(CAST(:keys AS text[]))
       AND lease_until > clock_timestamp()
     GROUP BY concurrency_key
""")

# Its key is taken: it waits, at the same attempt.
PARK = text("""
    INSERT INTO tailrace.task_runs AS run (id, caused_at, task, queue, state, attempt, generation, args,
                                           enqueued_at, scheduled_for, cause, key, concurrency_key)
    VALUES (:id, :caused_at, :task, :queue, 'parked', :attempt, :generation, CAST(:args AS jsonb),
            :enqueued_at, :due, CAST(:cause AS jsonb), :key, :concurrency_key)
    ON CONFLICT (caused_at, id) DO UPDATE SET state = 'parked', scheduled_for = excluded.scheduled_for
     WHERE run.attempt = excluded.attempt AND run.state IN ('queued', 'parked')
""")

# Why a command was not ours to take. A second statement, because the first one's snapshot is older than
# the row that it ran into.
REFUSED = text("""
    SELECT run.id, run.state, run.attempt, run.lease_until, clock_timestamp() AS now
      FROM unnest(CAST(:ids AS uuid[]), CAST(:caused_at AS timestamptz[])) AS want (id, caused_at)
      JOIN tailrace.task_runs AS run USING (caused_at, id)
""")

# Leave `running`, if the run is still this worker's. `attempt` moves on where the run is parked for a retry.
RECORD = text("""
    UPDATE tailrace.task_runs
       SET state = :state, attempt = :next_attempt, scheduled_for = :scheduled_for, lease_until = NULL,
           outcome = CAST(:outcome AS jsonb), error = :error, finished_at = clock_timestamp(),
           duration_ms = extract(epoch FROM clock_timestamp() - started_at) * 1000
     WHERE caused_at = :caused_at AND id = :id AND attempt = :attempt AND worker = :worker
       AND takeovers = :takeovers
       AND state = 'running'
""")

# The same for many runs that leave no rows of their own; those that are not returned were not ours any more.
RECORD_MANY = text("""
    UPDATE tailrace.task_runs AS run
       SET state = ending.state, lease_until = NULL, outcome = ending.outcome::jsonb,
           finished_at = clock_timestamp(),
           duration_ms = extract(epoch FROM clock_timestamp() - run.started_at) * 1000
      FROM unnest(CAST(:ids AS uuid[]), CAST(:caused_at AS timestamptz[]), CAST(:attempts AS int[]),
                  CAST(:takeovers AS int[]), CAST(:states AS text[]), CAST(:outcomes AS text[]))
           AS ending (id, caused_at, attempt, takeovers, state, outcome)
     WHERE run.caused_at = ending.caused_at AND run.id = ending.id AND run.attempt = ending.attempt
       AND run.takeovers = ending.takeovers AND run.worker = :worker AND run.state = 'running'
    RETURNING run.id
""")

# Is the run still this worker's? Locks the row, so that nobody takes it over before our COMMIT.
HOLD = text("""
    SELECT 1 FROM tailrace.task_runs
     WHERE caused_at = :caused_at AND id = :id AND attempt = :attempt AND worker = :worker
       AND takeovers = :takeovers
       AND state = 'running'
       FOR UPDATE
""")

# The same for many: those that are returned are still this worker's. In one order, so that no two wait for each other.
HOLD_MANY = text("""
    SELECT run.id
      FROM unnest(CAST(:ids AS uuid[]), CAST(:caused_at AS timestamptz[]), CAST(:attempts AS int[]),
                  CAST(:takeovers AS int[]))
           AS want (id, caused_at, attempt, takeovers)
      JOIN tailrace.task_runs AS run USING (caused_at, id)
     WHERE run.attempt = want.attempt AND run.takeovers = want.takeovers AND run.worker = :worker
       AND run.state = 'running'
     ORDER BY run.id
       FOR UPDATE OF run
""")

# Keep what runs. Rows that have been taken over or recorded are not touched. A row that its own transaction has locked
# is passed over, or one effect that waits would cost all others their leases; the sweeper passes it over, too.
# A lapsed lease of a keyed run is not revived: another may have its place by now.
RENEW = text("""
    WITH mine AS MATERIALIZED (
        SELECT run.caused_at, run.id
          FROM unnest(CAST(:ids AS uuid[]), CAST(:caused_at AS timestamptz[]), CAST(:attempts AS int[]),
                      CAST(:takeovers AS int[]))
               AS want (id, caused_at, attempt, takeovers)
          JOIN tailrace.task_runs AS run USING (caused_at, id)
         WHERE run.attempt = want.attempt AND run.takeovers = want.takeovers AND run.worker = :worker
           AND run.state = 'running'
           AND (run.concurrency_key IS NULL OR run.lease_until > clock_timestamp())
         ORDER BY run.id
           FOR UPDATE OF run SKIP LOCKED)
    UPDATE tailrace.task_runs AS run
       SET lease_until = clock_timestamp() + CAST(:lease AS interval)
      FROM mine
     WHERE run.caused_at = mine.caused_at AND run.id = mine.id
    RETURNING run.id
""")

# Give back what was claimed and has not ended, so that the next worker need not wait for the lease.
RELEASE = text("""
    UPDATE tailrace.task_runs AS run
       SET state = 'queued', worker = NULL, lease_until = NULL, scheduled_for = clock_timestamp()
      FROM unnest(CAST(:ids AS uuid[]), CAST(:caused_at AS timestamptz[]), CAST(:attempts AS int[]),
                  CAST(:takeovers AS int[]))
           AS mine (id, caused_at, attempt, takeovers)
     WHERE run.caused_at = mine.caused_at AND run.id = mine.id AND run.attempt = mine.attempt
       AND run.takeovers = mine.takeovers AND run.worker = :worker AND run.state = 'running'
    RETURNING run.id
""")

# The state of one run, read again after a COMMIT whose answer was lost.
STATE = text("""
    SELECT state, attempt, worker, takeovers FROM tailrace.task_runs WHERE caused_at = :caused_at AND id = :id
""")

# Months in which a run may be recorded: the first day of the oldest and the end of the newest.
MONTHS = text("""
    SELECT min(from_day)::timestamp AT TIME ZONE 'UTC' AS first,
           max(to_day)::timestamp AT TIME ZONE 'UTC' AS last
      FROM tailrace.task_run_months
""")

# Make room for the months to come.
MAKE_ROOM = text("""
    SELECT tailrace.ensure_months((now() AT TIME ZONE 'UTC')::date, (now() AT TIME ZONE 'UTC')::date + 62)
""")

# Counts by task and state, for status, metrics and the page.
COUNTS = text("""
    SELECT task, state, count(*) AS runs FROM tailrace.task_runs
     WHERE caused_at >= now() - CAST(:since AS interval)
     GROUP BY task, state ORDER BY task, state
""")
