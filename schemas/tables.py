"""Our own tables, in the schema ``tailrace``; ``streams/migrations`` creates them.

The backend's are in ``schemas.backend``.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, INTERVAL, JSONB, UUID

metadata = sa.MetaData(schema="tailrace")
Timestamp = sa.TIMESTAMP(timezone=True)

task_runs = sa.Table(
    "task_runs",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("caused_at", Timestamp, primary_key=True),
    sa.Column("task", sa.Text, nullable=False),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("args", JSONB, nullable=False),
    sa.Column("scheduled_for", Timestamp),
    sa.Column("enqueued_at", Timestamp),
    sa.Column("started_at", Timestamp),
    sa.Column("finished_at", Timestamp),
    sa.Column("duration_ms", sa.Integer),
    sa.Column("worker", sa.Text),
    sa.Column("lease_until", Timestamp),
    sa.Column("takeovers", sa.Integer, nullable=False, server_default="0"),
    sa.Column("outcome", JSONB),
    sa.Column("error", sa.Text),
    sa.Column("cause", JSONB),
    sa.Column("key", sa.LargeBinary),
    sa.Column("schedule", sa.Text),
    sa.Column("concurrency_key", sa.Text),
    sa.Column("first_attempt", sa.Integer, nullable=False, server_default="1"),
    sa.Column("swept_at", Timestamp),
    sa.Column("sweeps", sa.Integer, nullable=False, server_default="0"),
    sa.Column("replay", sa.Integer),
)

queues = sa.Table(
    "queues",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("automatic", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("reason", sa.Text),
    sa.Column("changed_at", Timestamp, nullable=False, server_default=sa.func.now()),
)

schedules = sa.Table(
    "schedules",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("task", sa.Text, nullable=False),
    sa.Column("args", JSONB, nullable=False, server_default="{}"),
    sa.Column("queue", sa.Text),
    sa.Column("cron", sa.Text),
    sa.Column("zone", sa.Text, nullable=False, server_default="UTC"),
    sa.Column("every", INTERVAL),
    sa.Column("at", Timestamp),
    sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("misfire", sa.Text, nullable=False, server_default="run_once"),
    sa.Column("overlap", sa.Text, nullable=False, server_default="skip"),
    sa.Column("jitter", INTERVAL, nullable=False, server_default="0"),
    sa.Column("starts_at", Timestamp, nullable=False, server_default=sa.func.now()),
    sa.Column("next_at", Timestamp),
    sa.Column("last_at", Timestamp),
    sa.Column("last_run", UUID(as_uuid=True)),
    sa.Column("error", sa.Text),
    sa.Column("edited", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("deleted", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("created_at", Timestamp, nullable=False, server_default=sa.func.now()),
    sa.Column("updated_at", Timestamp, nullable=False, server_default=sa.func.now()),
)

dead_letter_marks = sa.Table(
    "dead_letter_marks",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("offset", sa.BigInteger, primary_key=True),
    sa.Column("mark", sa.Text, nullable=False),
    sa.Column("marked_at", Timestamp, nullable=False, server_default=sa.func.now()),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("key", sa.LargeBinary),
    sa.Column("headers", JSONB, nullable=False, server_default="[]"),
    sa.Column("payload", sa.LargeBinary),
    sa.Column("occurred_at", Timestamp, nullable=False, server_default=sa.func.now()),
    sa.Column("due_at", Timestamp, nullable=False, server_default=sa.func.now()),
    sa.Column("created_at", Timestamp, nullable=False, server_default=sa.func.now()),
    sa.Column("state", sa.Text, nullable=False, server_default="pending"),
    sa.Column("error", sa.Text),
    sa.Column("dedupe_key", sa.Text),
)

relay = sa.Table(
    "relay",
    metadata,
    sa.Column("id", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("idle", sa.Boolean, nullable=False, server_default=sa.false()),
)

mail_deliveries = sa.Table(
    "mail_deliveries",
    metadata,
    sa.Column("template", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("cause", sa.Text, primary_key=True),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("recipient", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("run_id", UUID(as_uuid=True), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("takeovers", sa.Integer, nullable=False, server_default="0"),
    sa.Column("uncertain", sa.Integer, nullable=False, server_default="0"),
    sa.Column("error", sa.Text),
    sa.Column("created_at", Timestamp, nullable=False, server_default=sa.func.now()),
    sa.Column("updated_at", Timestamp, nullable=False, server_default=sa.func.now()),
)

media_assets = sa.Table(
    "media_assets",
    metadata,
    sa.Column("post_id", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("blurhash", sa.Text),
    sa.Column("width", sa.Integer),
    sa.Column("height", sa.Integer),
    sa.Column("duration_ms", sa.Integer),
    sa.Column("error", sa.Text),
    sa.Column("updated_at", Timestamp, nullable=False, server_default=sa.func.now()),
    sa.Column("colour", sa.Text),
    sa.Column("format", sa.Text),
    sa.Column("frames", sa.Integer),
    sa.Column("focus_x", DOUBLE_PRECISION),
    sa.Column("focus_y", DOUBLE_PRECISION),
)

media_renditions = sa.Table(
    "media_renditions",
    metadata,
    sa.Column("post_id", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("variant", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("bytes", sa.Integer, nullable=False),
    sa.Column("format", sa.Text, nullable=False),
    sa.Column("recipe", sa.Text, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False, server_default=sa.func.now()),
)

trending_state = sa.Table(
    "trending_state",
    metadata,
    sa.Column("id", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("live_generation", sa.Integer, nullable=False),
)

trending_sources = sa.Table(
    "trending_sources",
    metadata,
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("next_offset", sa.BigInteger, nullable=False),
    sa.Column("archived_offset", sa.BigInteger, nullable=False),
    sa.Column("counted_until", Timestamp, nullable=False),
)

trending_deltas = sa.Table(
    "trending_deltas",
    metadata,
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("from_offset", sa.BigInteger, primary_key=True),
    sa.Column("to_offset", sa.BigInteger, nullable=False),
    sa.Column("format", sa.SmallInteger, nullable=False),
    sa.Column("newest_minute", sa.Integer, nullable=False),
    sa.Column("refused", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False, server_default=sa.func.now()),
)

trending_hours = sa.Table(
    "trending_hours",
    metadata,
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("hour", sa.Integer, primary_key=True),
    sa.Column("tag", sa.Text, primary_key=True),
    sa.Column("uses", sa.BigInteger, nullable=False),
)

trending_gaps = sa.Table(
    "trending_gaps",
    metadata,
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("from_offset", sa.BigInteger, primary_key=True),
    sa.Column("to_offset", sa.BigInteger, nullable=False),
    sa.Column("until", Timestamp, nullable=False),
    sa.Column("noticed_at", Timestamp, nullable=False, server_default=sa.func.now()),
)
