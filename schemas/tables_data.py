"""Our tables of the data tasks: how far a run has come, and what they compute."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, JSONB, UUID

from schemas.tables import Timestamp, metadata

task_progress = sa.Table(
    "task_progress",
    metadata,
    sa.Column("run_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("task", sa.Text, nullable=False),
    sa.Column("position", sa.Text),
    sa.Column("finished", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("counts", JSONB, nullable=False, server_default="{}"),
    sa.Column("began_at", Timestamp, nullable=False),
    sa.Column("updated_at", Timestamp, nullable=False, server_default=sa.func.now()),
)

post_engagement = sa.Table(
    "post_engagement",
    metadata,
    sa.Column("post_id", sa.Text(collation="C"), primary_key=True),
    sa.Column("score", DOUBLE_PRECISION, nullable=False),
    sa.Column("computed_at", Timestamp, nullable=False),
)

content_analytics = sa.Table(
    "content_analytics",
    metadata,
    sa.Column("day", sa.DATE, primary_key=True),
    sa.Column("metrics", JSONB, nullable=False),
    sa.Column("computed_at", Timestamp, nullable=False),
)

content_analytics_hours = sa.Table(
    "content_analytics_hours",
    metadata,
    sa.Column("day", sa.DATE, primary_key=True),
    sa.Column("hour", sa.SmallInteger, primary_key=True),
    sa.Column("metrics", JSONB, nullable=False),
)
