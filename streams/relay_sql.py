"""The relay's statements, on its own asyncpg connection."""

CHANNEL = "tailrace_outbox"

# One relay at a time; the lock goes with the connection.
TRY_LOCK = "SELECT pg_try_advisory_lock(hashtext('tailrace.relay'))"

# Ask writers for a NOTIFY, or not.
SET_IDLE = "UPDATE tailrace.relay SET idle = $1 WHERE idle <> $1"

# What is due, oldest first. Transactions that do not overlap have growing `due_at`; within one, `id` grows.
DUE = """
    SELECT id, topic, key, headers::text AS headers, payload, occurred_at
      FROM tailrace.outbox
     WHERE state = 'pending' AND due_at <= clock_timestamp()
     ORDER BY due_at, id
     LIMIT $1
"""

# The broker has them.
DELETE = "DELETE FROM tailrace.outbox WHERE id = ANY($1::bigint[])"

# It can never be sent: keep it for people, out of the way of the rest.
SET_ASIDE = "UPDATE tailrace.outbox SET state = 'set_aside', error = $2, dedupe_key = NULL WHERE id = $1"
