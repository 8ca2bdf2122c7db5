"""Every statement of replays, each with its purpose."""

from sqlalchemy import text

from streams.sweeper_sql import copy_keys

# Of these commands, by their place in the list: those that the ledger does not know as done, with their state or null;
# and, done or not, those that this replay has submitted itself.
# Their time bounds what is read of the ledger, whichever way it is read.
NOT_DONE = text("""
    SELECT CAST(want.place AS int) - 1 AS place, run.state, run.replay = CAST(:replay AS int) AS is_own
      FROM unnest(CAST(:ids AS uuid[]), CAST(:caused_at AS timestamptz[]))
           WITH ORDINALITY AS want (id, caused_at, place)
      LEFT JOIN tailrace.task_runs AS run
        ON run.caused_at = want.caused_at AND run.id = want.id AND run.caused_at BETWEEN :first AND :last
     WHERE run.state IS NULL OR run.state NOT IN ('done', 'skipped') OR run.replay = CAST(:replay AS int)
""")

# Commands of one replay that wait on their queues from now on. Sorted, so that two submitters never deadlock.
SUBMIT = text("""
    INSERT INTO tailrace.task_runs (id, caused_at, task, queue, state, attempt, generation, args,
                                    scheduled_for, cause, key, replay)
    SELECT want.id, want.caused_at, want.task, want.queue, 'queued', 1, want.generation, want.args::jsonb,
           clock_timestamp(), want.cause::jsonb, want.key, :replay
      FROM unnest(CAST(:ids AS uuid[]), CAST(:caused_at AS timestamptz[]), CAST(:tasks AS text[]),
                  CAST(:queues AS text[]), CAST(:generations AS int[]), CAST(:args AS text[]),
                  CAST(:causes AS text[]), CAST(:keys AS bytea[]))
           AS want (id, caused_at, task, queue, generation, args, cause, key)
     ORDER BY want.id
    ON CONFLICT (caused_at, id) DO NOTHING
    RETURNING id
""")

# A run that waits again because of a replay is counted as its own.
ADOPT = text("UPDATE tailrace.task_runs SET replay = :replay WHERE caused_at = :caused_at AND id = :id")

# The copies of those that are new, on the outbox.
PUT_COPIES = text("""
    INSERT INTO tailrace.outbox (topic, key, headers, payload, occurred_at, dedupe_key)
    SELECT topic, key, headers::jsonb, payload, clock_timestamp(), dedupe_key
      FROM unnest(CAST(:topics AS text[]), CAST(:keys AS bytea[]), CAST(:headers AS text[]),
                  CAST(:payloads AS bytea[]), CAST(:dedupe_keys AS text[]))
           AS copies (topic, key, headers, payload, dedupe_key)
    ON CONFLICT (dedupe_key) DO NOTHING
""")

# A replay begins; a worker finds it.
INSERT = text("""
    INSERT INTO tailrace.replays (mode, topic, request, plan, since, until, stretches, gaps, audit, note)
    VALUES (:mode, :topic, CAST(:request AS jsonb), CAST(:plan AS jsonb), :since, :until,
            CAST(:stretches AS jsonb), CAST(:gaps AS jsonb),
            jsonb_build_array(jsonb_build_object('at', now(), 'who', CAST(:who AS text), 'what', 'started')), :note)
    RETURNING id
""")

# Replays, newest first.
LIST = text("SELECT * FROM tailrace.replays ORDER BY id DESC LIMIT :limit")
SHOW = text("SELECT * FROM tailrace.replays WHERE id = :id")

# How the runs of a replay stand.
RUNS = text("SELECT state, count(*) AS runs FROM tailrace.task_runs WHERE replay = :id GROUP BY state")

# How many of its runs are at work, or about to be. Those that wait for their next attempt burden nobody.
OPEN = text("""
    SELECT count(*) FROM tailrace.task_runs
     WHERE replay = :id AND state IN ('queued', 'running')
""")

# Take a replay that nobody reads: new, resumed, or left by a worker whose lease has run out.
TAKE = text("""
    UPDATE tailrace.replays
       SET owner = :owner, lease_until = clock_timestamp() + CAST(:lease AS interval),
           takeovers = takeovers + CASE WHEN owner IS NULL THEN 0 ELSE 1 END, updated_at = clock_timestamp()
     WHERE id = (SELECT id FROM tailrace.replays
                  WHERE state = 'running' AND (lease_until IS NULL OR lease_until < clock_timestamp())
                  ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING *
""")

# How far its reader is. No row where somebody has paused or cancelled it, or another worker reads it.
ADVANCE = text("""
    UPDATE tailrace.replays
       SET takeovers = CASE WHEN positions @> CAST(:positions AS jsonb) THEN takeovers ELSE 0 END,
           positions = positions || CAST(:positions AS jsonb), counts = CAST(:counts AS jsonb),
           gaps = CAST(:gaps AS jsonb), lease_until = clock_timestamp() + CAST(:lease AS interval),
           updated_at = clock_timestamp()
     WHERE id = :id AND owner = :owner AND state = 'running'
    RETURNING id
""")

# Its reader gives it back: it has ended, or another may go on.
RELEASE = text("""
    UPDATE tailrace.replays
       SET owner = NULL, lease_until = NULL, updated_at = clock_timestamp(),
           state = coalesce(:state, state), error = coalesce(:error, error),
           report = coalesce(CAST(:report AS jsonb), report),
           finished_at = CASE WHEN :state IS NULL THEN finished_at ELSE clock_timestamp() END
     WHERE id = :id AND owner = :owner
    RETURNING id
""")

# What an operator does to it, and who.
CHANGE = text("""
    UPDATE tailrace.replays
       SET state = :state, updated_at = clock_timestamp(), error = NULL, owner = NULL, lease_until = NULL,
           finished_at = CASE :state WHEN 'cancelled' THEN clock_timestamp() END,
           audit = audit || jsonb_build_object('at', now(), 'who', CAST(:who AS text), 'what', CAST(:what AS text))
     WHERE id = :id AND state = ANY(CAST(:states AS text[]))
    RETURNING id
""")

# Its runs that have not started do not, and their commands are forgotten. One on its way finds itself cancelled.
CANCEL_RUNS = text(f"""
    WITH cancelled AS (
        UPDATE tailrace.task_runs SET state = 'cancelled', finished_at = clock_timestamp(), scheduled_for = NULL
         WHERE replay = :id AND state IN ('queued', 'parked')
        RETURNING id, attempt
    ), forgotten AS (
        DELETE FROM tailrace.outbox AS outbox USING cancelled
         WHERE outbox.dedupe_key IN ({copy_keys("cancelled")}))
    SELECT count(*) FROM cancelled
""")  # noqa: S608 - of constants

# What live work waits: of the runs that ended lately, those that no replay has ordered, and from publishing to start
# the time that all but one in fifty have kept; those of replays; and the oldest row that the outbox should have sent.
LIVE_WAITS = text("""
    SELECT count(wait) AS live, percentile_cont(0.98) WITHIN GROUP (ORDER BY wait) AS start,
           count(replay) AS replayed,
           (SELECT extract(epoch FROM clock_timestamp() - min(due_at))
              FROM tailrace.outbox WHERE state = 'pending' AND due_at < clock_timestamp()) AS outbox
      FROM (SELECT replay, CASE WHEN replay IS NULL AND started_at > enqueued_at
                                THEN extract(epoch FROM started_at - enqueued_at) END AS wait
              FROM tailrace.task_runs
             WHERE finished_at > clock_timestamp() - CAST(:span AS interval)) AS ended
""")
