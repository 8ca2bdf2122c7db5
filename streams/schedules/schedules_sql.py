"""Every statement on ``tailrace.schedules``, each with its purpose, and those on the runs that schedules cause."""

from sqlalchemy import text

COLUMNS = """name, task, args, queue, cron, zone, every, at, enabled, misfire, overlap, jitter, starts_at,
           next_at, last_at, last_run, error, edited"""

# The database's clock, by which everything here goes: those of the workers may be off.
CLOCK = text("SELECT clock_timestamp()")

# All that exist.
ALL = text(f"SELECT {COLUMNS} FROM tailrace.schedules WHERE NOT deleted ORDER BY name")  # noqa: S608

# One, to be shown.
ONE = text(f"SELECT {COLUMNS} FROM tailrace.schedules WHERE name = :name AND NOT deleted")  # noqa: S608

# One, to be changed: no tick and no other change comes between.
LOCK = text(f"SELECT {COLUMNS} FROM tailrace.schedules WHERE name = :name AND NOT deleted FOR UPDATE")  # noqa: S608

# A new one; the name of a deleted one is free.
CREATE = text("""
    INSERT INTO tailrace.schedules AS known (name, task, args, queue, cron, zone, every, at, enabled, misfire, overlap,
                                             jitter, starts_at, next_at, edited)
    VALUES (:name, :task, CAST(:args AS jsonb), :queue, :cron, :zone, :every, :at, :enabled, :misfire, :overlap,
            :jitter, :starts_at, :next_at, true)
    ON CONFLICT (name) DO UPDATE
       SET task = excluded.task, args = excluded.args, queue = excluded.queue, cron = excluded.cron,
           zone = excluded.zone, every = excluded.every, at = excluded.at, enabled = excluded.enabled,
           misfire = excluded.misfire, overlap = excluded.overlap, jitter = excluded.jitter,
           starts_at = excluded.starts_at, next_at = excluded.next_at, last_at = NULL, last_run = NULL, error = NULL,
           edited = true, deleted = false, created_at = now(), updated_at = now()
     WHERE known.deleted
    RETURNING name
""")

# A person's change; whatever was wrong with the row has been checked anew.
CHANGE = text("""
    UPDATE tailrace.schedules
       SET task = :task, args = CAST(:args AS jsonb), queue = :queue, cron = :cron, zone = :zone, every = :every,
           at = :at, enabled = :enabled, misfire = :misfire, overlap = :overlap, jitter = :jitter,
           starts_at = :starts_at, next_at = :next_at, error = NULL, edited = true, updated_at = now()
     WHERE name = :name
""")

# Gone for people and timers. The row stays, so that a default does not come back at the next start of a worker.
DELETE = text("""
    UPDATE tailrace.schedules
       SET deleted = true, edited = true, enabled = false, next_at = NULL, updated_at = now()
     WHERE name = :name
""")

# A default, unless it is there in whatever form.
ADD_DEFAULT = text("""
    INSERT INTO tailrace.schedules (name, task, cron, enabled, starts_at, next_at, error)
    VALUES (:name, :task, :cron, :enabled, :now, :next_at, :error)
    ON CONFLICT (name) DO NOTHING
""")

# A default as this version has it, for one that nobody has edited or deleted. It keeps its next instant unless
# that moves: what an outage has missed is still to be dealt with.
RENEW_DEFAULT = text("""
    UPDATE tailrace.schedules
       SET next_at = CASE WHEN enabled AND cron = :cron AND zone = 'UTC' THEN next_at ELSE :next_at END,
           task = :task, cron = :cron, zone = 'UTC', every = NULL, at = NULL, enabled = true, error = NULL,
           updated_at = now()
     WHERE name = :name AND NOT edited AND NOT deleted
       AND (NOT enabled OR task <> :task OR cron IS DISTINCT FROM :cron OR zone <> 'UTC')
    RETURNING name
""")

# The schedule that has been due for longest, of those that nobody has in hand and whose task this worker knows.
CLAIM = text(f"""
    SELECT {COLUMNS}, clock_timestamp() AS now
      FROM tailrace.schedules
     WHERE enabled AND NOT deleted AND next_at <= clock_timestamp()
       AND task = ANY(:tasks) AND name <> ALL(:dealt_with)
     ORDER BY next_at, name
     LIMIT 1
       FOR UPDATE SKIP LOCKED
""")  # noqa: S608

# Go on to the next instant, in the transaction that has dealt with those before it.
ADVANCE = text("""
    UPDATE tailrace.schedules
       SET next_at = :next_at, last_at = coalesce(:last_at, last_at), last_run = coalesce(:last_run, last_run),
           error = NULL
     WHERE name = :name
""")

# Why it cannot run. Its next instant stays: once it is mended, what was missed is dealt with by its policy.
FAIL = text("""
    UPDATE tailrace.schedules SET error = :error WHERE name = :name AND error IS DISTINCT FROM :error
""")

# Seconds until the next one is due, of those whose task this worker knows.
UNTIL_NEXT = text("""
    SELECT extract(epoch FROM min(next_at) - clock_timestamp())
      FROM tailrace.schedules
     WHERE enabled AND NOT deleted AND next_at > clock_timestamp() AND task = ANY(:tasks)
""")

# The first instant that a run can be recorded of.
LEDGER_BEGINS = text("SELECT min(from_day)::timestamp AT TIME ZONE 'UTC' FROM tailrace.task_run_months")

# The oldest instant of a schedule whose run has not ended.
OPEN_SINCE = text("""
    SELECT min(caused_at) FROM tailrace.task_runs
     WHERE schedule = :name AND state IN ('queued', 'running', 'parked')
""")

# Instants that do not run, each with its reason. One that has a run already keeps it.
RECORD_SKIPPED = text("""
    INSERT INTO tailrace.task_runs (id, caused_at, task, queue, state, attempt, generation, args, scheduled_for,
                                    finished_at, outcome, cause, schedule)
    SELECT due.id, due.caused_at, :task, :queue, 'skipped', 1, 0, CAST(:args AS jsonb), due.caused_at,
           clock_timestamp(), jsonb_build_object('reason', due.reason), CAST(due.cause AS jsonb), :schedule
      FROM unnest(CAST(:ids AS uuid[]), CAST(:caused_at AS timestamptz[]), CAST(:reasons AS text[]),
                  CAST(:causes AS text[]))
           AS due (id, caused_at, reason, cause)
    ON CONFLICT (caused_at, id) DO NOTHING
""")

# Which of these instants have runs, held until the caller's COMMIT. One that was skipped without having been
# started can still be run.
KNOWN = text("""
    SELECT run.id, run.state = 'skipped' AND run.started_at IS NULL AS passed_over
      FROM unnest(CAST(:ids AS uuid[]), CAST(:caused_at AS timestamptz[])) AS asked (id, caused_at)
      JOIN tailrace.task_runs AS run USING (caused_at, id)
     ORDER BY run.caused_at, run.id
       FOR UPDATE OF run
""")

# The latest runs of a schedule.
HISTORY = text("""
    SELECT caused_at, id, state, attempt, started_at, finished_at, duration_ms, outcome, error
      FROM tailrace.task_runs
     WHERE schedule = :name
     ORDER BY caused_at DESC
     LIMIT :count
""")
