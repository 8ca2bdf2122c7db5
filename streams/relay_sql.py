"""The relay's statements, on its own asyncpg connection."""

CHANNEL = "tailrace_outbox"

# One relay at a time; the lock goes with the connection.
TRY_LOCK = "SELECT pg_try_advisory_lock(hashtext('tailrace.relay'))"

# Who holds the lock, and whether its program has been silent for longer than $1: it asks nothing, or does not read
# what it asked for. NULL where this role may not see that. A statement that is at work is no silence.
HOLDER = """
    SELECT lock.pid, session.usename AS role, current_user AS own_role,
           CASE WHEN session.state IS NULL THEN NULL
                ELSE (session.state LIKE 'idle%' OR session.wait_event = 'ClientWrite')
                     AND session.state_change < clock_timestamp() - $1::interval
           END AS silent
      FROM pg_locks AS lock
      LEFT JOIN pg_stat_activity AS session USING (pid)
     WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1
       AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND (lock.classid::bigint << 32) | lock.objid::bigint = hashtext('tailrace.relay')::bigint
"""

# End the holder's session, and with it its lock.
TERMINATE = "SELECT pg_terminate_backend($1)"

# Say that we are alive.
TOUCH = "SELECT 1"

# Ask writers for a NOTIFY, or not.
SET_IDLE = "UPDATE tailrace.relay SET idle = $1 WHERE idle <> $1"

# What is due, oldest first. Transactions that do not overlap have growing `due_at`; within one, `id` grows.
# $3: topics that the broker lacks; their rows wait, and only theirs.
# At least one row, else no more than $2 bytes, so that rows of a megabyte fill neither memory nor the connection.
DUE = """
    SELECT id, topic, key, headers::text AS headers, payload, occurred_at, due_at
      FROM (SELECT *, sum(octet_length(payload)) OVER (ORDER BY due_at, id ROWS UNBOUNDED PRECEDING)
                      - octet_length(payload) AS bytes_before
              FROM (SELECT id, topic, key, headers, payload, occurred_at, due_at
                      FROM tailrace.outbox
                     WHERE state = 'pending' AND due_at <= clock_timestamp() AND topic <> ALL($3::text[])
                     ORDER BY due_at, id
                     LIMIT $1) AS oldest) AS added_up
     WHERE coalesce(bytes_before, 0) < $2
     ORDER BY due_at, id
"""

# The broker has them, as they were read; one that was put again meanwhile stays.
DELETE = """
    DELETE FROM tailrace.outbox AS o USING unnest($1::bigint[], $2::timestamptz[]) AS sent (id, due_at)
     WHERE o.id = sent.id AND o.due_at = sent.due_at
"""

# Make room of what was deleted. Autovacuum looks once a minute, and in that time a backlog grows the table by hundreds
# of megabytes. It waits for nobody, and for a role that may not do it (PostgreSQL 17: GRANT MAINTAIN) it does nothing.
VACUUM = "VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON) tailrace.outbox"

# It can never be sent: keep it for people, out of the way of the rest.
SET_ASIDE = """
    UPDATE tailrace.outbox SET state = 'set_aside', error = $3, dedupe_key = NULL WHERE id = $1 AND due_at = $2
"""
