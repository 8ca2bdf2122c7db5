"""The relay's statements, on its own asyncpg connection."""

CHANNEL = "tailrace_outbox"

# One relay at a time; the lock goes with the connection.
TRY_LOCK = "SELECT pg_try_advisory_lock(hashtext('tailrace.relay'))"

# Ask writers for a NOTIFY, or not.
SET_IDLE = "UPDATE tailrace.relay SET idle = $1 WHERE idle <> $1"

# What is due, oldest first. Transactions that do not overlap have growing `due_at`; within one, `id` grows.
DUE = """
    SELECT id, topic, key, headers::text AS headers, payload, occurred_at, due_at
      FROM tailrace.outbox
     WHERE state = 'pending' AND due_at <= clock_timestamp()
     ORDER BY due_at, id
     LIMIT $1
"""

# The broker has them, as they were read; one that was put again meanwhile stays.
DELETE = """
    DELETE FROM tailrace.outbox AS o USING unnest($1::bigint[], $2::timestamptz[]) AS sent (id, due_at)
     WHERE o.id = sent.id AND o.due_at = sent.due_at
"""

# It can never be sent: keep it for people, out of the way of the rest.
SET_ASIDE = """
    UPDATE tailrace.outbox SET state = 'set_aside', error = $3, dedupe_key = NULL WHERE id = $1 AND due_at = $2
"""
