"""Our tables of what trends: tags that are never shown, and hourly snapshots."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION

from schemas.tables import Timestamp, metadata

trending_blocked_tags = sa.Table(
    "trending_blocked_tags",
    metadata,
    sa.Column("tag", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text),
    sa.Column("blocked_at", Timestamp, nullable=False, server_default=sa.func.now()),
)

trending_snapshot_hours = sa.Table(
    "trending_snapshot_hours",
    metadata,
    sa.Column("as_of", Timestamp, primary_key=True),
    sa.Column("complete", sa.Boolean, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("counted_until", Timestamp, nullable=False),
    sa.Column("tags", sa.Integer, nullable=False),
    sa.Column("taken_at", Timestamp, nullable=False, server_default=sa.func.now()),
)

trending_snapshots = sa.Table(
    "trending_snapshots",
    metadata,
    sa.Column("as_of", Timestamp, primary_key=True),
    sa.Column("rank", sa.Integer, primary_key=True),
    sa.Column("tag", sa.Text, nullable=False),
    sa.Column("uses", sa.BigInteger, nullable=False),
    sa.Column("observed", sa.BigInteger, nullable=False),
    sa.Column("baseline", DOUBLE_PRECISION, nullable=False),
    sa.Column("peak", DOUBLE_PRECISION, nullable=False),
    sa.Column("age_s", sa.Integer, nullable=False),
    sa.Column("score", DOUBLE_PRECISION, nullable=False),
)
